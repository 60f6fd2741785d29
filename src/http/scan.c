#include "http/scan.h"

#include "base/poison.h"

/* Rows by range; CTL covers everything that ends any of the scans. */
#define CTL (SCAN_CTL | SCAN_NAME | SCAN_TARGET | SCAN_PATH)
#define WORD (SCAN_TOKEN | SCAN_HOST)

const uint8_t scan_class[256] = {
    [0] = CTL | SCAN_BREAK,
    [0x01 ... 0x08] = CTL,
    ['\t'] = SCAN_NAME | SCAN_TARGET | SCAN_PATH,
    ['\n'] = CTL | SCAN_BREAK,
    [0x0b ... 0x0c] = CTL,
    ['\r'] = CTL | SCAN_BREAK,
    [0x0e ... 0x1f] = CTL,
    [' '] = SCAN_NAME | SCAN_TARGET | SCAN_PATH,
    ['!'] = SCAN_TOKEN,
    ['#'] = SCAN_TOKEN,
    ['$'] = SCAN_TOKEN,
    ['%'] = SCAN_TOKEN | SCAN_PATH,
    ['&'] = SCAN_TOKEN,
    ['\''] = SCAN_TOKEN,
    ['*'] = SCAN_TOKEN,
    ['+'] = SCAN_TOKEN,
    ['-'] = WORD,
    ['.'] = WORD,
    ['0' ... '9'] = WORD,
    [':'] = SCAN_NAME,
    ['?'] = SCAN_PATH,
    ['A' ... 'Z'] = WORD,
    ['\\'] = SCAN_PATH,
    ['^'] = SCAN_TOKEN,
    ['_'] = WORD,
    ['`'] = SCAN_TOKEN,
    ['a' ... 'z'] = WORD,
    ['|'] = SCAN_TOKEN,
    ['~'] = SCAN_TOKEN,
    [0x7f] = SCAN_CTL | SCAN_TARGET | SCAN_PATH,
    [0x80 ... 0xff] = SCAN_PATH,
};
