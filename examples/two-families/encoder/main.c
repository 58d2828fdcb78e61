/* Writes the bytes of standard input as hexadecimal digits. */
#include <stdio.h>

int main(void) {
    for (int byte; (byte = getchar()) != EOF;) printf("%02x", (unsigned)byte);
    return ferror(stdin) || fflush(stdout) ? 1 : 0;
}
