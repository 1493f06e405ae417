# boot_sector.S - the smallest guest: a boot sector that does its own verified disk I/O.
#
# make_boot_disk.sh makes its disk, of 1 MiB. On the serial console it says "boot", then a dot for
# each sector written, read back and compared, paced by the timer; "BAD" when one was wrong. It
# takes single letters: q powers off, p panics (pvpanic), r resets; anything else comes back.
        .code16
        .globl  _start
_start: cli
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
again:  movw    $0x8000, %di            # the sector's pattern: its number
        movw    $256, %cx
        movw    count, %ax
        rep     stosw
        andw    $1023, %ax
        incw    %ax
        movw    %ax, block
        movb    $0x43, %ah
        call    disk
        movw    $0x8000, %di
        movw    $256, %cx
        xorw    %ax, %ax
        rep     stosw
        movb    $0x42, %ah
        call    disk
        movw    $0x8000, %di
        movw    $256, %cx
        movw    count, %ax
        repe    scasw
        jne     bad
        incw    count
        movb    $'.', %al
        call    putc
        movw    $0x3fd, %dx             # a letter for us?
        inb     %dx, %al
        testb   $1, %al
        jz      keys
        movw    $0x3f8, %dx
        inb     %dx, %al
        jmp     typed
keys:   movb    $1, %ah                # or for the BIOS, which reads the same port
        int     $0x16
        jz      pace
        xorb    %ah, %ah
        int     $0x16
typed:
        cmpb    $'q', %al
        je      off
        cmpb    $'p', %al
        je      panic
        cmpb    $'r', %al
        je      reset
        call    putc
pace:   sti
        hlt
        jmp     again

off:    movw    $0x604, %dx             # ACPI: sleep type 0, sleep enable
        movw    $0x2000, %ax
        outw    %ax, %dx
        jmp     stay
panic:  movw    $0x505, %dx
        movb    $1, %al
        outb    %al, %dx
        jmp     stay
reset:  movb    $0xfe, %al              # keyboard controller: pulse reset
        outb    %al, $0x64
        jmp     stay

hello:  .asciz  "boot\r\n"

        .include "sector_end.S"
