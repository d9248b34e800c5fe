// The bench kernels as a Linux program, the same markers on standard output: `native [kernel=NAME] [passes=N]`.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel.h"

uint8_t *code_memory;

int main(int argc, char **argv) {
  const char *wanted = 0;
  int passes = 1;
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "kernel=", 7) == 0) wanted = argv[i] + 7;
    if (strncmp(argv[i], "passes=", 7) == 0) passes = atoi(argv[i] + 7);
  }
  code_memory = mmap(0, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code_memory == MAP_FAILED) return perror("mmap"), 1;
  for (unsigned i = 0; i < kernel_count; i++) {
    if (wanted && strcmp(wanted, kernels[i].name) != 0) continue;
    for (int pass = 0; pass < passes; pass++) {
      dprintf(1, "BEGIN %s %d\n", kernels[i].name, pass);
      uint32_t checksum = kernels[i].run();
      dprintf(1, "END %s %d %08x\n", kernels[i].name, pass, checksum);
    }
  }
  dprintf(1, "ALL DONE\n");
  return 0;
}
