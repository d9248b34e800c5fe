// SSE2: packed double arithmetic, packed integers, shuffles and a compare mask.

#include <emmintrin.h>

#include "kernel.h"

#define COUNT 4096
#define ROUNDS 420

uint32_t sse2_kernel(void) {
  double *x = (double *)arena, *y = x + COUNT;
  uint32_t *words = (uint32_t *)(y + COUNT);
  uint32_t state = 6;
  for (int i = 0; i < COUNT; i++) {
    x[i] = (int32_t)(next_random(&state) >> 8) / 16777216.0;
    y[i] = (int32_t)(next_random(&state) >> 8) / 16777216.0;
    words[i] = next_random(&state);
  }
  const __m128d half = _mm_set1_pd(0.5), limit = _mm_set1_pd(1.5);
  __m128i sum = _mm_setzero_si128();
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < COUNT; i += 2) {
      __m128d v = _mm_add_pd(_mm_mul_pd(_mm_load_pd(x + i), half), _mm_load_pd(y + i));
      __m128d over = _mm_cmpgt_pd(v, limit);
      _mm_store_pd(x + i, _mm_sub_pd(v, _mm_and_pd(over, half)));
    }
    for (int i = 0; i < COUNT; i += 4) {
      __m128i v = _mm_load_si128((const __m128i *)(words + i));
      v = _mm_xor_si128(_mm_add_epi32(v, sum), _mm_srli_epi32(v, 7));
      sum = _mm_add_epi32(_mm_shuffle_epi32(sum, 0x39), _mm_mul_epu32(v, _mm_srli_epi64(v, 32)));
      _mm_store_si128((__m128i *)(words + i), v);
    }
  }
  uint32_t checksum = 0;
  for (int i = 0; i < COUNT; i++) checksum = mix(mix(checksum, ((const uint32_t *)x)[2 * i]), ((const uint32_t *)x)[2 * i + 1] ^ words[i]);
  return checksum;
}
