# The program `vios`: shell/, lua/*.c, and the Lua files, embedded as text so that nothing is
# looked for at run time.

LUA_FILES    := $(wildcard lua/*.lua)
LUA_OBJECTS  := $(patsubst %.c,$(B)/%.o,$(wildcard lua/*.c)) $(B)/lua/embedded_files.o
SHELL_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard shell/*.c))

$(B)/lib/lua.a: $(LUA_OBJECTS)
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@; ar rcs $@ $^

# .incbin keeps the files as they are; the table gives their names. Rewritten when the list of
# files changes, assembled again when one of them does.
$(B)/lua/embedded_files.list: FORCE
	@mkdir -p $(@D)
	@echo '$(LUA_FILES)' | cmp -s - $@ || echo '$(LUA_FILES)' >$@

$(B)/lua/embedded_files.c: $(B)/lua/embedded_files.list shell/shell.mk
	$(call say,EMBED,$@){ \
	  echo '#include "lua/binding.h"'; \
	  for name in $(notdir $(basename $(LUA_FILES))); do \
	    printf '__asm__(".section .rodata\\nembedded_%s_begin:\\n' $$name; \
	    printf '.incbin \\"lua/%s.lua\\"\\n' $$name; \
	    printf 'embedded_%s_end: .byte 0\\n.previous\\n");\n' $$name; \
	    printf 'extern const char embedded_%s_begin[], embedded_%s_end[];\n' $$name $$name; \
	  done; \
	  echo 'const struct embedded_file EMBEDDED_FILES[] = {'; \
	  for name in $(notdir $(basename $(LUA_FILES))); do \
	    printf '    {"%s", embedded_%s_begin, embedded_%s_end},\n' $$name $$name $$name; \
	  done; \
	  echo '};'; \
	  echo 'const size_t EMBEDDED_FILE_COUNT = sizeof EMBEDDED_FILES / sizeof EMBEDDED_FILES[0];'; \
	} >$@

$(B)/lua/embedded_files.o: $(B)/lua/embedded_files.c $(LUA_FILES)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

.PHONY: FORCE
FORCE:

$(B)/bin/vios: $(SHELL_OBJECTS) $(B)/lib/lua.a $(call archives,$(SHELL_USES))
	$(link) $(SHELL_LIBS)

FUZZ_OBJECTS_fuzz_command_line := $(B)/lib/lua.a
FUZZ_OBJECTS_fuzz_node_set     := $(B)/lib/lua.a
FUZZ_LIBS_fuzz_command_line    := $(call pkg,lua5.4)
FUZZ_LIBS_fuzz_node_set        := $(call pkg,lua5.4)
