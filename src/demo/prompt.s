# The prompt: reads a line from the serial port, with echo and backspace, and runs the command of that name.

.include "demo.inc"
.set LINE_SIZE, 64

.text
.global prompt
prompt:
  call stop_timer
  call serial_enable_receive_interrupt
  say "\r\nType 'help' for the commands.\r\n"
1: say "> "
  call read_line
  cmp byte ptr [line], 0
  je 1b
  mov ebx, offset commands
2: mov eax, [ebx]
  test eax, eax
  jz 3f
  mov esi, offset line
  mov edi, eax
  call strings_equal
  je 4f
  add ebx, 8
  jmp 2b
3: say "unknown command; 'help' lists them\r\n"
  jmp 1b
4: mov eax, [ebx + 4]
  test eax, eax
  jz 5f                               # "off"
  call resume_timer
  call eax
  call stop_timer
  jmp 1b
5: ret

# ESI, EDI = strings; zero flag set when they are equal.
strings_equal:
  push eax
1: mov al, [esi]
  cmp al, [edi]
  jne 2f
  inc esi
  inc edi
  test al, al
  jnz 1b
2: pop eax
  ret

read_line:
  mov edi, offset line
1: cli                                # a character that comes between the look and the HLT must still end the HLT
  call read_char
  jc 2f
  sti                                 # takes effect after the next instruction
  hlt
  jmp 1b
2: sti
  cmp al, 13
  je 5f
  cmp al, 10
  je 5f
  cmp al, 8
  je 3f
  cmp al, 127
  je 3f
  cmp al, ' '
  jb 1b
  cmp edi, offset line + LINE_SIZE - 1
  jae 1b
  stosb
  call print_char
  jmp 1b
3: cmp edi, offset line
  je 1b
  dec edi
  say "\b \b"
  jmp 1b
5: mov byte ptr [edi], 0
  say "\r\n"
  ret

show_help:
  say "help    this list\r\nprimes  three ring-3 tasks under the timer count primes\r\npopf    POPF in ring 0 and in ring 3\r\n"
  say "smc     self-modifying code\r\nfault   page faults and other exceptions\r\ncpuid   what the processor says it is\r\n"
  say "table   every sensitive instruction\r\noff     power off\r\n"
  ret

.section .rodata
.balign 4
commands:
  .long 1f, show_help, 2f, show_primes, 3f, show_popf, 4f, show_patching, 5f, show_faults, 6f, show_cpuid, 7f, show_sensitive, 8f, 0, 0
1: .asciz "help"
2: .asciz "primes"
3: .asciz "popf"
4: .asciz "smc"
5: .asciz "fault"
6: .asciz "cpuid"
7: .asciz "table"
8: .asciz "off"

.bss
line: .skip LINE_SIZE
