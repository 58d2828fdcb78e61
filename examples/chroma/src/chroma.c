#include "chroma.h"

#include <string.h>

/* Kr and Kb of each matrix, in 1/65536 (ITU-R BT.601, BT.709, BT.2020). */
static const int32_t weights[][2] = {{19595, 7471}, {13933, 4732}, {17216, 3886}};

enum { ONE = 65536, HALF = 32768 };

static uint8_t clamp(int32_t value, int32_t low, int32_t high) {
    return (uint8_t)(value < low ? low : value > high ? high : value);
}

/* Division that rounds to the nearest, halves away from zero. */
static int32_t divide(int64_t value, int64_t by) {
    return (int32_t)((value >= 0 ? value + by / 2 : value - by / 2) / by);
}

const char *chroma_version(void) { return CHROMA_VERSION; }

chroma_yuv chroma_from_rgb(chroma_rgb pixel, chroma_matrix matrix) {
    const int32_t kr = weights[matrix][0], kb = weights[matrix][1];
    const int64_t luma = (int64_t)kr * pixel.r + (int64_t)(ONE - kr - kb) * pixel.g + (int64_t)kb * pixel.b;
    const int64_t blue = (int64_t)pixel.b * ONE - luma, red = (int64_t)pixel.r * ONE - luma;
    return (chroma_yuv){
        .y = clamp(16 + divide(luma * 219, (int64_t)ONE * 255), 16, 235),
        .u = clamp(128 + divide(blue * 112, (int64_t)(ONE - kb) * 255), 16, 240),
        .v = clamp(128 + divide(red * 112, (int64_t)(ONE - kr) * 255), 16, 240),
    };
}

chroma_rgb chroma_to_rgb(chroma_yuv pixel, chroma_matrix matrix) {
    const int64_t kr = weights[matrix][0], kb = weights[matrix][1], kg = ONE - kr - kb;
    const int64_t luma = (int64_t)(pixel.y - 16) * 255 * ONE / 219;
    const int64_t red = luma + (int64_t)(pixel.v - 128) * 255 * (ONE - kr) / 112;
    const int64_t blue = luma + (int64_t)(pixel.u - 128) * 255 * (ONE - kb) / 112;
    const int64_t green = (luma * ONE - kr * red - kb * blue) / kg;
    return (chroma_rgb){
        .r = clamp(divide(red, ONE), 0, 255),
        .g = clamp(divide(green, ONE), 0, 255),
        .b = clamp(divide(blue, ONE), 0, 255),
    };
}

/* The mean of the up to four pixels at an even place. */
static chroma_rgb mean(const uint8_t *rgb, size_t stride, size_t across, size_t down) {
    unsigned sum[3] = {0, 0, 0};
    for (size_t y = 0; y < down; y++)
        for (size_t x = 0; x < across; x++)
            for (size_t channel = 0; channel < 3; channel++) sum[channel] += rgb[y * stride + x * 3 + channel];
    const unsigned count = (unsigned)(across * down);
    return (chroma_rgb){
        .r = (uint8_t)((sum[0] + count / 2) / count),
        .g = (uint8_t)((sum[1] + count / 2) / count),
        .b = (uint8_t)((sum[2] + count / 2) / count),
    };
}

int chroma_rgb_to_i420(const uint8_t *rgb, size_t stride, size_t width, size_t height, chroma_matrix matrix,
                       chroma_planes out) {
    if (width == 0 || height == 0) return -1;
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            const uint8_t *at = rgb + y * stride + x * 3;
            out.y[y * width + x] = chroma_from_rgb((chroma_rgb){at[0], at[1], at[2]}, matrix).y;
            if (x % 2 || y % 2) continue;
            const size_t across = width - x > 1 ? 2 : 1, down = height - y > 1 ? 2 : 1;
            const chroma_yuv pixel = chroma_from_rgb(mean(at, stride, across, down), matrix);
            const size_t place = y / 2 * ((width + 1) / 2) + x / 2;
            out.u[place] = pixel.u;
            out.v[place] = pixel.v;
        }
    }
    return 0;
}

#ifdef CHROMA_NON_FREE

const char *chroma_variant(void) { return "non-free"; }

int chroma_equalize(uint8_t *luma, size_t count) {
    size_t histogram[256], below[256], seen = 0;
    memset(histogram, 0, sizeof histogram);
    for (size_t i = 0; i < count; i++) histogram[luma[i]]++;
    for (size_t level = 0; level < 256; level++) {
        below[level] = seen;
        seen += histogram[level];
    }
    if (count == 0 || histogram[luma[0]] == count) return 0;
    size_t lowest = 0, highest = 255;
    while (histogram[lowest] == 0) lowest++;
    while (histogram[highest] == 0) highest--;
    for (size_t i = 0; i < count; i++)
        luma[i] = (uint8_t)(16 + (uint64_t)(below[luma[i]]) * 219 / below[highest]);
    return 0;
}

#else

const char *chroma_variant(void) { return "free"; }

int chroma_equalize(uint8_t *luma, size_t count) {
    (void)luma;
    (void)count;
    return -1;
}

#endif
