/* chroma: conversion between 8-bit RGB and studio-range YUV, in integers only. */
#ifndef CHROMA_H
#define CHROMA_H

#include <stddef.h>
#include <stdint.h>

#define CHROMA_VERSION "2.1.0"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum chroma_matrix {
    CHROMA_BT601 = 0,
    CHROMA_BT709 = 1,
    CHROMA_BT2020 = 2
} chroma_matrix;

typedef struct chroma_rgb {
    uint8_t r, g, b;
} chroma_rgb;

typedef struct chroma_yuv {
    uint8_t y, u, v; /* 16..235 and 16..240 */
} chroma_yuv;

typedef struct chroma_planes {
    uint8_t *y;      /* width * height bytes */
    uint8_t *u, *v;  /* ((width + 1) / 2) * ((height + 1) / 2) bytes each */
} chroma_planes;

const char *chroma_version(void);

/* "free" or "non-free". */
const char *chroma_variant(void);

chroma_yuv chroma_from_rgb(chroma_rgb pixel, chroma_matrix matrix);
chroma_rgb chroma_to_rgb(chroma_yuv pixel, chroma_matrix matrix);

/* Packed RGB to planar 4:2:0; stride is in bytes. Returns 0, or -1 where a size is zero. */
int chroma_rgb_to_i420(const uint8_t *rgb, size_t stride, size_t width, size_t height, chroma_matrix matrix,
                       chroma_planes out);

/* Spreads a luma plane over the whole studio range, in place. Only the non-free variant does it; elsewhere
   it leaves the plane alone and returns -1. */
int chroma_equalize(uint8_t *luma, size_t count);

#ifdef __cplusplus
}
#endif

#endif
