# What CPUID says.

.include "demo.inc"
.text

# The vendor string, family, model and stepping.
.global print_vendor
print_vendor:
  pushad
  xor eax, eax
  cpuid
  mov [vendor], ebx
  mov [vendor + 4], edx
  mov [vendor + 8], ecx
  mov eax, offset vendor
  call print_string
  mov eax, 1
  cpuid
  mov ebx, eax
  say " family "
  mov eax, ebx
  shr eax, 8
  and eax, 15
  call print_decimal
  say " model "
  mov eax, ebx
  shr eax, 4
  and eax, 15
  call print_decimal
  say " stepping "
  mov eax, ebx
  and eax, 15
  call print_decimal
  popad
  ret

.global show_cpuid
show_cpuid:
  pushad
  call print_vendor
  say "\r\nfeatures:"
  mov eax, 1
  cpuid
  mov ebx, edx
  mov esi, offset feature_names
1: mov eax, [esi]
  shr ebx, 1
  jnc 2f
  say " "
  call print_string
2: add esi, 4
  cmp esi, offset feature_names_end
  jb 1b
  say "\r\n"
  popad
  ret

.section .rodata
# Leaf 1, EDX, bit by bit (SDM volume 2, CPUID).
.balign 4
feature_names:
.irp name, fpu, vme, de, pse, tsc, msr, pae, mce, cx8, apic, bit10, sep, mtrr, pge, mca, cmov, pat, pse36, psn, clfsh, bit20, ds, acpi, mmx, fxsr, sse, sse2, ss, htt, tm, ia64, pbe
  .long feature_\name
.endr
feature_names_end:
.irp name, fpu, vme, de, pse, tsc, msr, pae, mce, cx8, apic, bit10, sep, mtrr, pge, mca, cmov, pat, pse36, psn, clfsh, bit20, ds, acpi, mmx, fxsr, sse, sse2, ss, htt, tm, ia64, pbe
feature_\name: .asciz "\name"
.endr

.bss
vendor: .skip 13
