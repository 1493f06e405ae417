# fill_sector.S - a guest whose memory is full: for benchmarks of what saves and restores it.
#
# make_boot_disk.sh makes its disk. Whoever uses it puts 8 MiB of content behind the sector, and the
# count of 32-bit words to fill, as a 32-bit number, at byte 4 of the disk. The memory from 1 MiB on
# gets the content, over and over. The serial console says "boot", "full", and then a "." after each
# sector that was read, about 18 times a second; "BAD" when a read fails.
        .code16
        .globl  _start
_start: jmp     begin
        .org    _start + 4
words:  .long   0

# Segments that reach all of memory; the BIOS may have taken that away.
flat:   cli
        lgdt    table
        movl    %cr0, %eax
        incw    %ax
        movl    %eax, %cr0
        movw    $8, %bx
        movw    %bx, %ds
        movw    %bx, %es
        decw    %ax
        movl    %eax, %cr0
        xorw    %bx, %bx
        movw    %bx, %ds
        movw    %bx, %es
        sti
        ret

begin:  cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        sti
        cld
        movb    %dl, drive
        movw    $hello, %si
        call    puts
        movw    $64, packet + 2         # 32 KiB at 0x10000
        movl    $0x10000000, packet + 4
        movl    $1, block
        movl    $0x100000, %edi
read:   movb    $0x42, %ah
        call    disk
        call    flat
        movl    $0x10000, %esi
        movl    $8192, %ecx
        addr32 rep movsl
        addl    $64, block
        cmpl    $0x900000, %edi
        jb      read
        movl    $0x100000, %esi
        movl    words, %ecx
        subl    $0x200000, %ecx
        addr32 rep movsl
        movw    $full, %si
        call    puts
        movl    $1, block
tick:   hlt
        movb    $0x42, %ah
        call    disk
        movb    $'.', %al
        call    putc
        jmp     tick

table:  .word   15
        .long   descriptors
hello:  .asciz  "boot\r\n"
full:   .asciz  "full\r\n"
        .balign 8
descriptors:
        .quad   0
        .quad   0x00cf92000000ffff

        .include "sector_end.S"
