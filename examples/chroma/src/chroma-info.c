#include <stdio.h>

#include "chroma.h"

int main(void) {
    const chroma_rgb orange = {255, 128, 0};
    const chroma_yuv pixel = chroma_from_rgb(orange, CHROMA_BT709);
    printf("chroma %s (%s)\n", chroma_version(), chroma_variant());
    printf("rgb(255, 128, 0) is yuv(%d, %d, %d) by BT.709\n", pixel.y, pixel.u, pixel.v);
    return 0;
}
