# The serial console: a 16550A at COM1, polled for output. Every routine keeps all registers but the flags.

.include "demo.inc"
.text

.set UART_DIVISOR_115200, 1
.set UART_LSR_DATA_READY, 1 << 0
.set UART_LSR_THR_EMPTY, 1 << 5

.macro uart_out register, value
  mov dx, COM1 + \register
  mov al, \value
  out dx, al
.endm

.global serial_init
serial_init:
  uart_out 1, 0x00                    # no interrupts while output is polled
  uart_out 3, 0x80                    # DLAB
  uart_out 0, UART_DIVISOR_115200
  uart_out 1, 0x00
  uart_out 3, 0x03                    # 8 data bits, no parity, 1 stop bit
  uart_out 2, 0x07                    # FIFOs on and empty
  uart_out 4, 0x0b                    # DTR, RTS, OUT2 (which lets the interrupt line through on a PC)
  ret

# The receive interrupt wakes HLT at the prompt.
.global serial_enable_receive_interrupt
serial_enable_receive_interrupt:
  push eax
  push edx
  uart_out 1, 0x01
  pop edx
  pop eax
  ret

# AL = character
.global print_char
print_char:
  push edx
  push eax
  mov dx, COM1 + 5
1: in al, dx
  test al, UART_LSR_THR_EMPTY
  jz 1b
  pop eax
  mov dx, COM1
  out dx, al
  pop edx
  ret

# Carry set and AL = character when one has arrived.
.global read_char
read_char:
  push edx
  mov dx, COM1 + 5
  in al, dx
  test al, UART_LSR_DATA_READY
  jz 1f
  mov dx, COM1
  in al, dx
  pop edx
  stc
  ret
1: pop edx
  clc
  ret

# EAX = string
.global print_string
print_string:
  push esi
  push eax
  mov esi, eax
1: lodsb
  test al, al
  jz 2f
  call print_char
  jmp 1b
2: pop eax
  pop esi
  ret

# EAX = string, ECX = width to fill with blanks
.global print_padded
print_padded:
  push eax
  push ecx
  push esi
  call print_string
  mov esi, eax
1: lodsb
  test al, al
  jz 2f
  dec ecx
  jmp 1b
2: mov al, ' '
3: dec ecx
  js 4f
  call print_char
  jmp 3b
4: pop esi
  pop ecx
  pop eax
  ret

.global print_hex32
print_hex32:
  push ecx
  mov ecx, 8
  call print_hex_digits
  pop ecx
  ret

.global print_hex16
print_hex16:
  push eax
  push ecx
  shl eax, 16
  mov ecx, 4
  call print_hex_digits
  pop ecx
  pop eax
  ret

# The ECX upper digits of EAX.
print_hex_digits:
  push eax
  push edx
  mov edx, eax
1: rol edx, 4
  mov eax, edx
  and eax, 15
  mov al, [hex_digits + eax]
  call print_char
  loop 1b
  pop edx
  pop eax
  ret

.global print_decimal
print_decimal:
  push eax
  push ebx
  push ecx
  push edx
  mov ebx, 10
  xor ecx, ecx
1: xor edx, edx
  div ebx
  push edx
  inc ecx
  test eax, eax
  jnz 1b
2: pop eax
  add al, '0'
  call print_char
  loop 2b
  pop edx
  pop ecx
  pop ebx
  pop eax
  ret

.section .rodata
hex_digits: .ascii "0123456789abcdef"
