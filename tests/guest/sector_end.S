# sector_end.S - what the boot sectors that write their disk end with: one sector's I/O through the
# BIOS, the serial console, the end of a guest whose disk fails, and the signature. Whoever includes
# it sets `count` and `block`.

# %ah: 0x42 reads, 0x43 writes the sector at `block`.
disk:   xorb    %al, %al
        movb    drive, %dl
        movw    $packet, %si
        int     $0x13
        jc      bad
        ret
bad:    movw    $wrong, %si
        call    puts
stay:   cli
        hlt
        jmp     stay

puts:   lodsb
        testb   %al, %al
        jz      1f
        call    putc
        jmp     puts
1:      ret

putc:   movb    %al, %bl
        movw    $0x3fd, %dx
2:      inb     %dx, %al
        testb   $0x20, %al
        jz      2b
        movw    $0x3f8, %dx
        movb    %bl, %al
        outb    %al, %dx
        ret

wrong:  .asciz  "BAD\r\n"
drive:  .byte   0x80
count:  .word   0
packet: .byte   16, 0
        .word   1                       # sectors
        .word   0x8000, 0               # buffer
block:  .long   0, 0

        .org    _start + 510
        .word   0xaa55
