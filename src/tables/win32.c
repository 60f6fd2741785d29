#include "tables/win32.h"

#include "base/rc.h"

#include "base/poison.h"

/* Sorted by code. */
static const struct win32_row rows[] = {
    {0, "ERROR_SUCCESS", "No error", NULL},
    {1, "ERROR_INVALID_FUNCTION", "The operation does not exist here",
     "405: the handler does not take this verb"},
    {2, "ERROR_FILE_NOT_FOUND", "The file does not exist", "404.0"},
    {3, "ERROR_PATH_NOT_FOUND", "A folder of the path does not exist",
     "404.0; 500.19: the folder of an application is missing"},
    {5, "ERROR_ACCESS_DENIED", "Access is denied",
     "401.2, 401.3, 403.x; 500.19: the worker may not read web.config"},
    {6, "ERROR_INVALID_HANDLE", "The handle is not valid", NULL},
    {8, "ERROR_NOT_ENOUGH_MEMORY", "Memory is out", NULL},
    {13, "ERROR_INVALID_DATA", "The data is not valid",
     "500.19: malformed configuration or an unknown section; 500.21"},
    {14, "ERROR_OUTOFMEMORY", "Memory is out", NULL},
    {21, "ERROR_NOT_READY", "The device is not ready", NULL},
    {32, "ERROR_SHARING_VIOLATION", "Another process has the file open for itself", NULL},
    {33, "ERROR_LOCK_VIOLATION", "The place is locked by somebody else",
     "500.19: the section is locked at a higher level"},
    {50, "ERROR_NOT_SUPPORTED", "The request is not supported",
     "404.3, 404.17; 500.22 to 500.24; 500.19: a section without declaration"},
    {53, "ERROR_BAD_NETPATH", "The other machine was not found on the network",
     "500.0 or 500.19: a root on a share that cannot be reached"},
    {59, "ERROR_UNEXP_NET_ERR", "The network failed unexpectedly", NULL},
    {64, "ERROR_NETNAME_DELETED", "The connection is gone",
     "the client left before the answer was complete; common and usually harmless"},
    {67, "ERROR_BAD_NET_NAME", "The share does not exist on the other machine", NULL},
    {80, "ERROR_FILE_EXISTS", "The file exists already", NULL},
    {87, "ERROR_INVALID_PARAMETER", "A parameter is wrong", NULL},
    {109, "ERROR_BROKEN_PIPE", "The pipe was closed by the other side", NULL},
    {112, "ERROR_DISK_FULL", "There is no room on the disk", NULL},
    {121, "ERROR_SEM_TIMEOUT", "A wait took too long", "the client stopped reading the answer"},
    {122, "ERROR_INSUFFICIENT_BUFFER", "The data does not fit into the buffer", NULL},
    {123, "ERROR_INVALID_NAME", "The name of the file or folder is not valid",
     "404.0: the URL holds characters that no name may have"},
    {126, "ERROR_MOD_NOT_FOUND", "A library, or one that it needs, was not found",
     "500.19: a module's library is missing"},
    {127, "ERROR_PROC_NOT_FOUND", "The library lacks the function asked for",
     "500.0: the extension has no entry point"},
    {145, "ERROR_DIR_NOT_EMPTY", "The folder is not empty", NULL},
    {161, "ERROR_BAD_PATHNAME", "The path is not valid", NULL},
    {183, "ERROR_ALREADY_EXISTS", "It exists already",
     "500.19: an entry is added twice to a collection"},
    {193, "ERROR_BAD_EXE_FORMAT", "The program or library cannot run here",
     "500.19 or 500.0: built for another processor"},
    {206, "ERROR_FILENAME_EXCED_RANGE", "The name is too long", NULL},
    {258, "WAIT_TIMEOUT", "A wait took too long", "500.0: a FastCGI process did not answer"},
    {267, "ERROR_DIRECTORY", "The path is not that of a folder",
     "500.19: physicalPath cannot be used"},
    {995, "ERROR_OPERATION_ABORTED", "The operation was cancelled",
     "the request ended while it was read or written"},
    {997, "ERROR_IO_PENDING", "The operation goes on in the background", NULL},
    {1168, "ERROR_NOT_FOUND", "The element was not found", NULL},
    {1223, "ERROR_CANCELLED", "The operation was cancelled by the user", NULL},
    {1225, "ERROR_CONNECTION_REFUSED", "The other side refused the connection", NULL},
    {1229, "ERROR_CONNECTION_INVALID", "The connection does not exist any more",
     "the client left while its request was handled"},
    {1230, "ERROR_CONNECTION_ACTIVE", "The connection is in use", NULL},
    {1231, "ERROR_NETWORK_UNREACHABLE", "The network cannot be reached", NULL},
    {1232, "ERROR_HOST_UNREACHABLE", "The other machine cannot be reached", NULL},
    {1233, "ERROR_PROTOCOL_UNREACHABLE", "The other machine does not speak the protocol", NULL},
    {1236, "ERROR_CONNECTION_ABORTED", "The connection was cut on this side",
     "the connection was ended while data was on its way"},
    {1260, "ERROR_ACCESS_DISABLED_BY_POLICY", "A policy forbids to run the program",
     "404.2: the program is not in isapiCgiRestriction"},
    {1314, "ERROR_PRIVILEGE_NOT_HELD", "The account lacks a right that it needs", "403.19"},
    {1326, "ERROR_LOGON_FAILURE", "User name or password is wrong",
     "401.1; 500.19: the account for a network share was refused"},
    {1327, "ERROR_ACCOUNT_RESTRICTION", "A restriction of the account forbids the logon", NULL},
    {1328, "ERROR_INVALID_LOGON_HOURS", "The account may not log on at this time", NULL},
    {1329, "ERROR_INVALID_WORKSTATION", "The account may not log on at this machine", NULL},
    {1330, "ERROR_PASSWORD_EXPIRED", "The account's password has expired", "401.1; 403.11"},
    {1331, "ERROR_ACCOUNT_DISABLED", "The account is disabled", "401.1"},
    {1385, "ERROR_LOGON_TYPE_NOT_GRANTED", "The account may not log on in this way", "401.1"},
    {1392, "ERROR_FILE_CORRUPT", "The file or folder is damaged", NULL},
    {1413, "ERROR_INVALID_INDEX", "The index is not valid",
     "500.19: an element that a collection does not have"},
    {1450, "ERROR_NO_SYSTEM_RESOURCES", "The system lacks resources", NULL},
    {1460, "ERROR_TIMEOUT", "A wait took too long", "502.1"},
    {1784, "ERROR_INVALID_USER_BUFFER", "The memory of the caller cannot be used", NULL},
    {1907, "ERROR_PASSWORD_MUST_CHANGE", "The password must be changed before the first logon",
     "401.1; 403.11"},
    {1909, "ERROR_ACCOUNT_LOCKED_OUT", "The account is locked", "401.1"},
    {12002, "ERROR_WINHTTP_TIMEOUT", "The upstream server did not answer in time", "502.3"},
    {12007, "ERROR_WINHTTP_NAME_NOT_RESOLVED", "The upstream server's name was not found", "502.3"},
    {12017, "ERROR_WINHTTP_OPERATION_CANCELLED", "The request to the upstream server was cancelled",
     NULL},
    {12019, "ERROR_WINHTTP_INCORRECT_HANDLE_STATE",
     "The request to the upstream server is in the wrong state", "502.5"},
    {12029, "ERROR_WINHTTP_CANNOT_CONNECT", "The upstream server cannot be connected to", "502.3"},
    {12030, "ERROR_WINHTTP_CONNECTION_ERROR", "The upstream server dropped the connection",
     "502.3"},
    {12152, "ERROR_WINHTTP_INVALID_SERVER_RESPONSE", "The upstream server's answer is not valid",
     "502.3"},
    {12175, "ERROR_WINHTTP_SECURE_FAILURE",
     "TLS with the upstream server failed, for example because of its certificate", "502.3"},
    {0x80004005, "E_FAIL", "An unspecified failure", "500.0"},
    {0x80090016, "NTE_BAD_KEYSET", "The set of keys does not exist",
     "500.19: an encrypted value cannot be decrypted"},
    {0x80090308, "SEC_E_INVALID_TOKEN", "The token is not valid", "401.1"},
    {0x8009030C, "SEC_E_LOGON_DENIED", "The logon was denied", "401.1 with NTLM or Kerberos"},
    {0x8009030E, "SEC_E_NO_CREDENTIALS", "No credentials are there",
     "401.1: a normal leg of NTLM or Kerberos if success follows"},
    {0x80090322, "SEC_E_WRONG_PRINCIPAL", "The ticket is for another service",
     "401.1: check the service principal names"},
    {0x80090324, "SEC_E_TIME_SKEW", "The clocks of client and server differ", "401.1"},
    {0x80092010, "CRYPT_E_REVOKED", "The certificate was revoked", "403.13"},
    {0x80092012, "CRYPT_E_NO_REVOCATION_CHECK", "Revocation could not be checked", "403.13"},
    {0x80092013, "CRYPT_E_REVOCATION_OFFLINE", "The server with revocation data is not reachable",
     "403.13"},
    {0x800B0101, "CERT_E_EXPIRED", "The certificate is outside its validity dates", "403.17"},
    {0x800B0109, "CERT_E_UNTRUSTEDROOT", "The certificate's root is not trusted", "403.16"},
    {0x800B010A, "CERT_E_CHAINING", "The certificate's chain is incomplete", "403.16"},
    {0x800B0110, "CERT_E_WRONG_USAGE", "The certificate is not meant for this use", "403.16"},
    {0xC000006D, "STATUS_LOGON_FAILURE", "User name or password is wrong", "401.1"},
    {0xC0000071, "STATUS_PASSWORD_EXPIRED", "The account's password has expired", "401.1"},
    {0xC00000FD, "STATUS_STACK_OVERFLOW", "The program used up its stack",
     "502.2: the CGI program crashed"},
    {0xC0000234, "STATUS_ACCOUNT_LOCKED_OUT", "The account is locked", "401.1"},
};

size_t win32_count(void)
{
    return ARRAY_LEN(rows);
}

const struct win32_row *win32_at(size_t i)
{
    return i < ARRAY_LEN(rows) ? &rows[i] : NULL;
}

const struct win32_row *win32_find(uint32_t code)
{
    uint32_t wanted = win32_from_hresult(code);
    size_t low = 0;
    size_t high = ARRAY_LEN(rows);

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (rows[mid].code == wanted)
            return &rows[mid];
        if (rows[mid].code < wanted)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const char *win32_text(uint32_t code)
{
    const struct win32_row *row = win32_find(code);

    return row ? row->text : "";
}
