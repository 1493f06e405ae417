# fill_sector.S - a guest whose memory is full: for benchmarks of what saves and restores it.
#
# make_boot_disk.sh makes its disk. Whoever uses it puts 8 MiB of content behind the sector, and the
# count of 32-bit words to fill, as a 32-bit number, at byte 4 of the disk. The memory from 1 MiB on
# gets the content, over and over. The serial console says "boot", "full", and then a "." after each
# 32 KiB that were read, about 18 times a second; "BAD" when a read fails.
#
# With a number other than 0 at byte 8, of 16 bits, it writes instead, as often as the timer ticks:
# 1193182 Hz divided by that number. With each tick it writes to another page of the 8 MiB from
# 1 MiB on, and then to the sector 18431, the last of 9 MiB, at the front: the count of the ticks and
# the ACPI timer, 32 bits each. The "." follows when the disk has it.
        .code16
        .globl  _start
_start: jmp     begin
        .org    _start + 4
words:  .long   0
pace:   .word   0

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
        movw    pace, %bx
        testw   %bx, %bx
        jnz     writer
tick:   hlt
        movb    $0x42, %ah
        call    disk
        movb    $'.', %al
        call    putc
        jmp     tick

writer: movb    $0x34, %al              # the timer's channel 0
        outb    %al, $0x43
        movb    %bl, %al
        outb    %al, $0x40
        movb    %bh, %al
        outb    %al, $0x40
        movw    $1, packet + 2
        movl    $0x8000, packet + 4
        movl    $18431, block
        xorl    %ebp, %ebp
beat:   hlt
        incl    %ebp
        movl    %ebp, 0x8000
        movw    $0x608, %dx             # the ACPI timer, where the BIOS puts it
        inl     %dx, %eax
        movl    %eax, 0x8004
        movl    %ebp, %edi
        shll    $12, %edi
        andl    $0x7ff000, %edi
        call    flat
        addr32 movl %ebp, 0x100000(%edi)
        movb    $0x43, %ah
        pushl   %ebp
        call    disk
        popl    %ebp
        movb    $'.', %al
        call    putc
        jmp     beat

table:  .word   15
        .long   descriptors
hello:  .asciz  "boot\r\n"
full:   .asciz  "full\r\n"
        .balign 8
descriptors:
        .quad   0
        .quad   0x00cf92000000ffff

        .include "sector_end.S"
