// The Mandelbrot set in the x87's own 80 bits: a loop that lives on the register stack, with a compare and a status-word test each round.

#include "kernel.h"

#define WIDTH 120
#define HEIGHT 80
#define ITERATIONS 500

uint32_t x87_mandelbrot_kernel(void) {
  uint32_t checksum = 0;
  for (int y = 0; y < HEIGHT; y++)
    for (int x = 0; x < WIDTH; x++) {
      long double cr = -2.25L + 3.0L * x / WIDTH, ci = -1.25L + 2.5L * y / HEIGHT, zr = 0, zi = 0;
      uint32_t n = 0;
      while (n < ITERATIONS) {
        long double rr = zr * zr, ii = zi * zi;
        if (rr + ii > 4.0L) break;
        zi = 2.0L * zr * zi + ci;
        zr = rr - ii + cr;
        n++;
      }
      checksum = mix(checksum, n);
    }
  return checksum;
}
