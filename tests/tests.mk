# Each tests/unit/X/test_Y.c is one program, linked with every archive.
UNIT_SOURCES  := $(wildcard tests/unit/*/test_*.c)
UNIT_PROGRAMS := $(patsubst %.c,$(B)/%,$(UNIT_SOURCES))

$(UNIT_PROGRAMS): $(B)/%: $(B)/%.o $(patsubst %,$(B)/lib/%.a,$(FOLDERS))
	$(link) $(TEST_LIBS)

# tests/tools/X.c: programs that tests run.
TOOL_PROGRAMS := $(patsubst %.c,$(B)/%,$(wildcard tests/tools/*.c))
$(TOOL_PROGRAMS): $(B)/%: $(B)/%.o $(patsubst %,$(B)/lib/%.a,$(FOLDERS))
	$(link) $(TEST_LIBS)

.PHONY: tools
tools: $(TOOL_PROGRAMS)

.PHONY: unit
unit: $(UNIT_PROGRAMS) ## build and run the unit tests
	prove -j2 --exec '' $(UNIT_PROGRAMS)

include tests/guest/guest.mk
