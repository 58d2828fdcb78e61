/* Writes the bytes that the hexadecimal digits on standard input stand for. */
#include <stdio.h>

int main(void) {
    int read;
    for (unsigned byte; (read = scanf("%2x", &byte)) == 1;) putchar((int)byte);
    return read != EOF || ferror(stdin) || fflush(stdout) ? 1 : 0;
}
