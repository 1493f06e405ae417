# The Linux test guest: build/guest/vmlinuz and build/guest/initrd, for the demo and for tests, and
# the same as disks that boot by themselves: disk.qcow2, and tour.qcow2, which runs the hog.
# Debian's cloud kernel and a static busybox are downloaded once; nothing is installed.

GUEST := build/guest

.PHONY: guest
guest: $(GUEST)/vmlinuz $(GUEST)/initrd
guest: $(GUEST)/disk.qcow2 $(GUEST)/tour.qcow2 ## make the Linux test guest (downloads once)

$(GUEST)/kernel.stamp: | tests/guest/fetch.sh
	$(call say,FETCH,kernel)tests/guest/fetch.sh $(GUEST) kernel && touch $@

$(GUEST)/vmlinuz: $(GUEST)/kernel.stamp
	$(Q)cp $(GUEST)/kernel/boot/vmlinuz-* $@.tmp && mv $@.tmp $@

# The installed one if there is one; it must be static, the guest has no C library.
$(GUEST)/busybox: | tests/guest/fetch.sh
	@mkdir -p $(@D)
	$(Q)if file=$$(command -v busybox) && ! LC_ALL=C ldd $$file >/dev/null 2>&1; then \
	    cp $$file $@; \
	else \
	    tests/guest/fetch.sh $(GUEST) busybox-static && cp $(GUEST)/busybox-static/bin/busybox $@; \
	fi

GUEST_PROGRAMS := $(GUEST)/hog $(GUEST)/watchdog_unfed
$(GUEST_PROGRAMS): $(GUEST)/%: tests/guest/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) -std=c17 -D_GNU_SOURCE -O2 $(WARNINGS) -static -o $@ $<

$(GUEST)/initrd: tests/guest/init tests/guest/make_initrd.sh $(GUEST)/kernel.stamp \
                 $(GUEST)/busybox $(GUEST_PROGRAMS)
	$(call say,PACK,$@)tests/guest/make_initrd.sh $@ $(GUEST)/kernel $(GUEST)/busybox \
	    $(GUEST_PROGRAMS)

# More words for the kernel's command line; scripts/tour.lua says the same.
$(GUEST)/tour.qcow2: KERNEL_WORDS := vios.hog_mib=256 vios.hog_passes=0

$(GUEST)/%.qcow2: tests/guest/make_disk.sh $(GUEST)/vmlinuz $(GUEST)/initrd tests/guest/guest.mk
	$(call say,PACK,$@)$< $@ $(GUEST)/vmlinuz $(GUEST)/initrd $(KERNEL_WORDS)
