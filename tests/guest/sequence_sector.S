# sequence_sector.S - a guest that writes its disk from the front, and says what was acknowledged.
#
#   as --32 -o boot.o sequence_sector.S
#   ld -m elf_i386 -Ttext=0x7c00 --oformat binary -o boot.bin boot.o
#
# The disk is boot.bin padded to more than 1 MiB. Sector n + 1 gets the number n, in each of its
# 16-bit words, for n from 0 to 2046; after each write that the disk acknowledged the serial console
# says n in four hexadecimal digits, a line each, and begins anew behind the last. "boot" comes
# first, "BAD" when a write fails. Paced by the timer: about 100 writes a second.
        .code16
        .globl  _start
_start: cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        movb    $0x34, %al              # the timer: channel 0, every 11932 of 1193182 Hz
        outb    %al, $0x43
        movb    $0x9c, %al
        outb    %al, $0x40
        movb    $0x2e, %al
        outb    %al, $0x40
        sti
        cld
        movb    %dl, drive
        movw    $hello, %si
        call    puts
again:  movw    $0x8000, %di
        movw    $256, %cx
        movw    count, %ax
        rep     stosw
        incw    %ax
        movw    %ax, block
        movw    $0x4300, %ax
        movb    drive, %dl
        movw    $packet, %si
        int     $0x13
        jc      bad
        movw    count, %dx              # acknowledged: say so
        movw    $4, %cx
digit:  rolw    $4, %dx
        movb    %dl, %al
        andb    $15, %al
        cmpb    $10, %al
        jb      1f
        addb    $'a' - 10 - '0', %al
1:      addb    $'0', %al
        pushw   %dx
        call    putc
        popw    %dx
        loop    digit
        movw    $newline, %si
        call    puts
        movw    count, %ax
        incw    %ax
        cmpw    $2047, %ax
        jb      2f
        xorw    %ax, %ax
2:      movw    %ax, count
        sti
        hlt
        jmp     again

bad:    movw    $wrong, %si
        call    puts
stay:   cli
        hlt
        jmp     stay

puts:   lodsb
        testb   %al, %al
        jz      3f
        call    putc
        jmp     puts
3:      ret

putc:   movb    %al, %bl
        movw    $0x3fd, %dx
4:      inb     %dx, %al
        testb   $0x20, %al
        jz      4b
        movw    $0x3f8, %dx
        movb    %bl, %al
        outb    %al, %dx
        ret

hello:  .ascii  "boot"
newline:
        .asciz  "\r\n"
wrong:  .asciz  "BAD\r\n"
drive:  .byte   0x80
count:  .word   0
packet: .byte   16, 0
        .word   1                       # sectors
        .word   0x8000, 0               # buffer
block:  .long   0, 0

        .org    _start + 510
        .word   0xaa55
