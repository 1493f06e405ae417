# vios - make help lists the targets
#
# The noun is the folder: each core/X becomes build/lib/X.a, and what a program may use is what
# its link line names. V=1 shows the commands. VARIANT=test adds the test hooks (crash points,
# faults), VARIANT=asan those and AddressSanitizer + UBSan, VARIANT=fuzz what libFuzzer needs; each
# variant has its own folder.

CC      ?= gcc
PREFIX  ?= /usr/local
VARIANT ?= release
VERSION := 0.1

ifeq ($(VARIANT),release)
B := build
# Where it was built is no part of it: the same source makes the same package anywhere.
VARIANT_FLAGS := -O2 '-ffile-prefix-map=$(CURDIR)=.'
else ifeq ($(VARIANT),test)
B := build/test
VARIANT_FLAGS := -O2 -DVIOS_TEST_HOOKS
else ifeq ($(VARIANT),asan)
B := build/asan
VARIANT_FLAGS := -O1 -DVIOS_TEST_HOOKS -fsanitize=address,undefined -fno-sanitize-recover=undefined
else ifeq ($(VARIANT),fuzz)
B := build/fuzz
VARIANT_FLAGS := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
else
$(error VARIANT is release, test, asan or fuzz)
endif

PKG_CONFIG ?= pkg-config
# Warnings are errors only in CI (WERROR=1). -Wno-missing-field-initializers: tables of options
# name only the members that matter.
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
            -Wundef -Wwrite-strings -Wpointer-arith -Wno-missing-field-initializers
ifdef WERROR
WARNINGS += -Werror
endif
CFLAGS  ?= -g
CPPFLAGS += -D_GNU_SOURCE -Icore -I. -DVIOS_VERSION='"$(VERSION)"'
ALL_CFLAGS = -std=c17 -fno-omit-frame-pointer -fstack-protector-strong -pthread $(VARIANT_FLAGS) \
             $(WARNINGS) $(CFLAGS)

# What each program links; one place, so that the layers are visible.
pkg = $(shell $(PKG_CONFIG) --libs $(1))
SHELL_LIBS  = $(call pkg,lua5.4 libedit jansson)
SSH_LIBS    = $(call pkg,libssh)
DAEMON_LIBS = $(call pkg,libuv sqlite3 libcurl jansson openssl libarchive libzstd)
IO_LIBS     = $(call pkg,jansson openssl)
PLACE_LIBS  = $(call pkg,lua5.4 jansson)
TEST_LIBS   = $(call pkg,libuv sqlite3 libcurl jansson openssl libarchive libzstd)
CPPFLAGS += $(shell $(PKG_CONFIG) --cflags lua5.4 libedit jansson libssh libuv sqlite3 libcurl \
              openssl libarchive)

ifndef V
Q := @
say = @printf '  %-6s %s\n' $(1) $(2);
endif

FOLDERS := $(filter-out daemon io,$(notdir $(patsubst %/,%,$(dir $(wildcard core/*/*.c)))))
FOLDERS := $(sort $(FOLDERS) \
             $(notdir $(patsubst %/,%,$(dir $(wildcard core/daemon/*.c core/io/*.c)))))
objects  = $(patsubst %.c,$(B)/%.o,$(filter-out core/$(1)/main.c,$(wildcard core/$(1)/*.c)))
archives = $(patsubst %,$(B)/lib/%.a,$(filter $(1),$(FOLDERS)))

SHELL_USES  := net base
DAEMON_USES := daemon migration alert restore ffdc image lpar hibernation event paging storage \
               nbd node job cluster store net base
IO_USES     := io paging storage nbd net base
PLACE_USES  := base

HELPERS  := daemon io place ssh.so
PROGRAMS := $(B)/bin/vios $(addprefix $(B)/libexec/vios/,$(HELPERS))

.PHONY: all
all: $(PROGRAMS) ## build the programs (the default)

# What these say of themselves with --version (base/version.h): only they know of the commit, and
# are compiled again when it is another. A tree without .git, such as an archive, has none.
VERSION_OBJECTS := $(B)/shell/version.o $(B)/core/daemon/main.o
COMMIT := $(if $(wildcard .git),$(shell git --no-optional-locks describe --always --dirty \
            --abbrev=12 --exclude='*' 2>/dev/null))
$(B)/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' >$@
$(VERSION_OBJECTS): $(B)/commit
$(VERSION_OBJECTS): CPPFLAGS += -DVIOS_COMMIT='"$(COMMIT)"' \
    -DVIOS_VARIANT='"$(VARIANT)"' -DLIBEDIT_VERSION='"$(shell $(PKG_CONFIG) --modversion libedit)"'

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

define archive_rule
$(B)/lib/$(1).a: $(call objects,$(1))
	@mkdir -p $$(@D)
	$$(call say,AR,$$@)rm -f $$@; ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call archive_rule,$(f))))

link = $(call say,LINK,$@)mkdir -p $(@D); $(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,--as-needed -o $@ \
       $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

# -rdynamic: the back-trace of a crash (core/base/backtrace.h) has the names of functions.
$(B)/libexec/vios/daemon: $(B)/core/daemon/main.o $(call archives,$(DAEMON_USES))
	$(link) $(DAEMON_LIBS) -rdynamic

$(B)/libexec/vios/io: $(B)/core/io/main.o $(call archives,$(IO_USES))
	$(link) $(IO_LIBS) -rdynamic

# A program of its own: what an administrator's Lua does there the daemon cannot feel.
PLACE_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard lua/place/*.c))
$(B)/libexec/vios/place: $(PLACE_OBJECTS) $(call archives,$(PLACE_USES))
	$(link) $(PLACE_LIBS)

# What `vios` loads when it is to reach a host by ssh (core/ssh/library.h). It has a core/base of
# its own, which nobody else sees.
$(B)/core/ssh/%.o $(B)/core/base/%.o: ALL_CFLAGS += -fPIC -fno-semantic-interposition
$(B)/libexec/vios/ssh.so: $(call objects,ssh) $(call archives,base)
	$(link) $(SSH_LIBS) -shared -Wl,-Bsymbolic,--exclude-libs,ALL

include shell/shell.mk
include tests/tests.mk
include packaging/deb.mk

-include $(shell find $(B)/core $(B)/shell $(B)/lua $(B)/tests -name "*.d" 2>/dev/null)

.PHONY: clean
clean: ## remove what was built (the downloaded guest kernel too)
	rm -rf build

.PHONY: install
install: all ## install below PREFIX=/usr/local, in DESTDIR= when packaging
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/libexec/vios' \
	    '$(DESTDIR)$(PREFIX)/share/man/man1'
	install -m 755 $(B)/bin/vios '$(DESTDIR)$(PREFIX)/bin/'
	ln -sf vios '$(DESTDIR)$(PREFIX)/bin/rvios'
	install -m 755 $(addprefix $(B)/libexec/vios/,$(HELPERS)) \
	    '$(DESTDIR)$(PREFIX)/libexec/vios/'
	install -m 644 vios.1 '$(DESTDIR)$(PREFIX)/share/man/man1/'
	install -d '$(DESTDIR)$(PREFIX)/share/bash-completion/completions'
	install -m 644 shell/vios.bash-completion \
	    '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/vios'
	install -d $(addprefix '$(DESTDIR)$(PREFIX)'/lib/,systemd/system sysusers.d tmpfiles.d)
	sed 's,@PREFIX@,$(PREFIX),' packaging/vios.service.in | \
	    install -m 644 /dev/stdin '$(DESTDIR)$(PREFIX)/lib/systemd/system/vios.service'
	install -m 644 packaging/vios.sysusers '$(DESTDIR)$(PREFIX)/lib/sysusers.d/vios.conf'
	install -m 644 packaging/vios.tmpfiles '$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/vios.conf'

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
