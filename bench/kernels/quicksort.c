// Quicksort: unpredictable compares, swaps, recursion.

#include "kernel.h"

#define COUNT 300000

static void sort(uint32_t *low, uint32_t *high) {
  while (low < high) {
    uint32_t pivot = low[(high - low) / 2];
    uint32_t *i = low, *j = high;
    while (i <= j) {
      while (*i < pivot) i++;
      while (*j > pivot) j--;
      if (i <= j) {
        uint32_t t = *i;
        *i++ = *j;
        *j-- = t;
      }
    }
    if (j - low < high - i) {
      sort(low, j);
      low = i;
    } else {
      sort(i, high);
      high = j;
    }
  }
}

uint32_t quicksort_kernel(void) {
  uint32_t *numbers = (uint32_t *)arena;
  uint32_t state = 3;
  for (int i = 0; i < COUNT; i++) numbers[i] = next_random(&state);
  sort(numbers, numbers + COUNT - 1);
  uint32_t checksum = 0;
  for (int i = 0; i < COUNT; i++) {
    if (i > 0 && numbers[i - 1] > numbers[i]) return 0;
    checksum = mix(checksum, numbers[i]);
  }
  return checksum;
}
