# What the source must look like. Each check can be called alone.

C_SOURCES := $(sort $(shell find core shell lua tests -name '*.c' 2>/dev/null))
C_HEADERS := $(sort $(shell find core shell lua tests -name '*.h' 2>/dev/null))
SHELL_SCRIPTS := .ci/run $(wildcard tests/guest/init) \
                 packaging/postinst packaging/prerm packaging/postrm \
                 $(sort $(shell find .ci tests scripts shell packaging -name "*.sh" 2>/dev/null))
LINT_LUA := $(sort $(shell find lua scripts tests -name '*.lua' 2>/dev/null))

.PHONY: lint lint-format lint-warnings lint-tidy lint-lua lint-shell lint-manual lint-rules
lint: ## format, warnings, clang-tidy, luacheck, shellcheck, manual, house rules
	@$(SUBMAKE) -k lint-format lint-lua lint-shell lint-manual lint-warnings lint-tidy lint-rules
	@tests/tools/shape.sh # for information: no figure of it fails
	@echo lint: clean

lint-format:
	@clang-format --dry-run -Werror $(C_SOURCES) $(C_HEADERS)

# A build of its own: objects that are up to date show no warnings.
lint-warnings:
	@$(MAKE) --no-print-directory B=build/lint WERROR=1 test-programs >/dev/null
	@printf '%s\n' $(C_SOURCES) | xargs -P $(JOBS) -n 8 clang -fsyntax-only -std=c17 -Werror \
	    $(WARNINGS) $(CPPFLAGS) -DVIOS_TEST_HOOKS

# One stamp a file, so that only what changed is looked at again.
TIDY_STAMPS := $(patsubst %.c,build/tidy/%.ok,$(filter-out tests/guest/%,$(C_SOURCES)))
$(TIDY_STAMPS): build/tidy/%.ok: %.c $(C_HEADERS) .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY,$<).ci/tidy.sh -std=c17 $(CPPFLAGS) -- $< && touch $@

lint-tidy: $(TIDY_STAMPS)

lint-lua:
	@luacheck -q $(LINT_LUA)

lint-shell:
	@shellcheck -x $(SHELL_SCRIPTS)

lint-manual:
	@mandoc -T lint -W warning vios.1

lint-rules:
	@for script in $(wildcard tests/rules/*.sh); do \
	    BUILD=$(abspath $(B)) bash $$script | grep -vE '^(ok|1\.\.)' && exit 1; done; true
