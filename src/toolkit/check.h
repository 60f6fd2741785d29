/* The command `candor check`: validates configuration files without serving. */
#ifndef CANDOR_TOOLKIT_CHECK_H
#define CANDOR_TOOLKIT_CHECK_H

/* argv[0] is the command's name. Prints findings on standard output; returns the process's exit
 * status: 0 nothing wrong, 1 errors found, 2 wrong usage. */
int check_main(int argc, char **argv);

#endif
