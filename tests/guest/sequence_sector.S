# sequence_sector.S - a guest that writes its disk from the front, and says what was acknowledged.
#
# make_boot_disk.sh makes its disk, of more than 1 MiB. Sector n + 1 gets the number n, in each of
# its 16-bit words, for n from 0 to 2046; after each write that the disk acknowledged the serial
# console says n in four hexadecimal digits, a line each, and begins anew behind the last. "boot"
# comes first, "BAD" when a write fails. Paced by the timer: about 50 writes a second.
        .code16
        .globl  _start
_start: cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        movb    $0x34, %al              # the timer: channel 0, every 23864 of 1193182 Hz
        outb    %al, $0x43
        movb    $0x38, %al
        outb    %al, $0x40
        movb    $0x5d, %al
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
        movb    $0x43, %ah
        call    disk
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

hello:  .ascii  "boot"
newline:
        .asciz  "\r\n"

        .include "sector_end.S"
