/* The products of an Affine layer with images as bytes, most of which are zero: y = s x W + b, dW = s x^T dy.

   PIXELS neighbouring bytes of an image are a group. For each group there is a list of the images in which it is not
   all zero; in the others it takes no arithmetic: in seven of ten of MNIST. Images come in blocks of ROWS, and columns
   of W in tiles of VECTORS * LANES, so that what is being summed stays in the processor's fastest memory and in its
   registers. These numbers are given when this is compiled: see sparse.py. */

#include <stdint.h>
#include <string.h>

_Static_assert(PIXELS == 4 && ROWS < 256, "v0 to v3 are written out, and a byte counts the rows");

enum { TILE = VECTORS * LANES };

typedef float lanes __attribute__((vector_size(sizeof(float) * LANES)));
typedef lanes tile_row[VECTORS];
typedef struct { uint8_t count, row[ROWS]; } images;  /* how many, and their rows in the block */

#define EACH_VECTOR _Pragma("GCC unroll 8") for (int j = 0; j < VECTORS; j++)

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* lists[D / PIXELS] of the block x[N][D] */
static void list_images(int64_t N, int64_t D, const uint8_t *x, images *lists) {
    static const uint8_t zeros[PIXELS];
    for (int64_t i = 0; i < D; i += PIXELS, lists++) {
        int count = 0;
        for (int64_t n = 0; n < N; n++) {
            lists->row[count] = n;
            count += memcmp(x + n * D + i, zeros, PIXELS) != 0;  /* an if would often be foreseen wrongly */
        }
        lists->count = count;
    }
}

/* y[N][M] = s x[N][D] W[D][M] + b[M]; lists[N / ROWS rounded up][D / PIXELS] are filled for the way back */
void forward(int64_t N, int64_t D, int64_t M, float s, const uint8_t *x, images *lists, const float *W, const float *b,
             float *y) {
    for (; N > 0; N -= ROWS, x += ROWS * D, y += ROWS * M, lists += D / PIXELS) {
        const int64_t rows = smaller(ROWS, N);
        list_images(rows, D, x, lists);
        for (int64_t column = 0; column < M; column += TILE) {
            const size_t width = sizeof(float) * smaller(TILE, M - column);
            tile_row sums[ROWS] = {0}, w[PIXELS] = {0}, bias = {0};
            for (int64_t i = 0; i < D; i += PIXELS) {
                const images *list = lists + i / PIXELS;
                for (int q = 0; list->count && q < PIXELS; q++) memcpy(w[q], W + (i + q) * M + column, width);
                for (int k = 0; k < list->count; k++) {
                    const uint8_t *p = x + list->row[k] * D + i;
                    lanes *sum = sums[list->row[k]];
                    const float v0 = p[0], v1 = p[1], v2 = p[2], v3 = p[3];
                    EACH_VECTOR sum[j] += v0 * w[0][j] + v1 * w[1][j] + v2 * w[2][j] + v3 * w[3][j];
                }
            }
            memcpy(bias, b + column, width);
            for (int64_t n = 0; n < rows; n++) {
                EACH_VECTOR sums[n][j] = s * sums[n][j] + bias[j];
                memcpy(y + n * M + column, sums[n], width);
            }
        }
    }
}

/* dW[D][M] = s x[N][D]^T dy[N][M] with the lists of the way forward, and db[M], the sum of the rows of dy */
void backward(int64_t N, int64_t D, int64_t M, float s, const uint8_t *x, const images *lists, const float *dy,
              float *dW, float *db) {
    for (int first = 1; N > 0; first = 0, N -= ROWS, x += ROWS * D, dy += ROWS * M, lists += D / PIXELS)
        for (int64_t column = 0; column < M; column += TILE) {
            const size_t width = sizeof(float) * smaller(TILE, M - column);
            tile_row d[ROWS] = {0}, dy_sum = {0}, total = {0};
            if (!first) memcpy(dy_sum, db + column, width);
            for (int64_t n = 0; n < smaller(ROWS, N); n++) {
                memcpy(d[n], dy + n * M + column, width);
                EACH_VECTOR dy_sum[j] += d[n][j];
            }
            memcpy(db + column, dy_sum, width);
            for (int64_t i = 0; i < D; i++) {
                const images *list = lists + i / PIXELS;
                tile_row sum = {0};  /* apart from total: where an address is taken, nothing stays in registers */
                for (int k = 0; k < list->count; k++)
                    EACH_VECTOR sum[j] += (float)x[list->row[k] * D + i] * d[list->row[k]][j];
                if (!first) memcpy(total, dW + i * M + column, width);
                EACH_VECTOR total[j] = s * sum[j] + (first ? (lanes){0} : total[j]);
                memcpy(dW + i * M + column, total, width);
            }
        }
}
