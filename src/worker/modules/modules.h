/* The modules in this folder, one file each, named as IIS names them. registry.c lists them. */
#ifndef CANDOR_WORKER_MODULES_MODULES_H
#define CANDOR_WORKER_MODULES_MODULES_H

#include "worker/module.h"

extern const struct module mod_anonymous_authentication;
extern const struct module mod_configuration_validation;
extern const struct module mod_custom_error;
extern const struct module mod_default_document;
extern const struct module mod_directory_listing;
extern const struct module mod_http_logging;
extern const struct module mod_http_redirection;
extern const struct module mod_protocol_support;
extern const struct module mod_request_filtering;

#endif
