# The tests: what is built, and the targets that run it. Every program is linked with every
# archive; tests/X.c becomes $(B)/tests/X.

ALL_ARCHIVES  := $(patsubst %,$(B)/lib/%.a,$(FOLDERS))
UNIT_SOURCES  := $(wildcard tests/unit/*/test_*.c)
UNIT_PROGRAMS := $(patsubst %.c,$(B)/%,$(UNIT_SOURCES))
TOOL_PROGRAMS    := $(patsubst %.c,$(B)/%,$(wildcard tests/tools/*.c))
FUZZ_SOURCES  := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_PROGRAMS := $(patsubst %.c,$(B)/%,$(FUZZ_SOURCES))
RUNNER        := $(B)/tests/runner/runner

$(UNIT_PROGRAMS) $(TOOL_PROGRAMS): $(B)/%: $(B)/%.o $(ALL_ARCHIVES)
	$(link) $(TEST_LIBS)

# What of lua/ is tested in C: it is no part of core, so none of its archives has it.
$(B)/tests/unit/place/test_sandbox: $(B)/lua/place/sandbox.o
$(B)/tests/unit/place/test_sandbox: TEST_LIBS += $(PLACE_LIBS)

$(RUNNER): $(patsubst %.c,$(B)/%.o,$(wildcard tests/runner/*.c)) $(B)/lib/base.a
	$(link)

# The simulator brings its own workers, so net is not linked: time is not real in it.
SIM          := $(B)/tests/sim/sim
SIM_ARCHIVES := $(patsubst %,$(B)/lib/%.a,cluster store storage paging base)
SIM_LIBS      = $(call pkg,jansson sqlite3 libcurl openssl)
SIM_OBJECTS  := $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/*.c))
$(SIM): $(SIM_OBJECTS) $(SIM_ARCHIVES)
	$(link) $(SIM_LIBS)

# A simulator for each mutation: the one file that its patch changes takes the place of the right
# one, which the linker then leaves in its archive.
MUTANTS := $(patsubst tests/sim/mutations/%.patch,$(B)/tests/sim/mutants/%,\
                      $(wildcard tests/sim/mutations/*.patch))
$(MUTANTS): $(B)/tests/sim/mutants/%: tests/sim/mutations/%.patch $(SIM)
	$(call say,MUTATE,$*)rm -rf $@.of; mkdir -p $@.of; \
	file=$$(sed -n 's,^+++ b/\([a-z_/.]*\).*,\1,p' $<); \
	cp $$file $@.of/mutant.c && patch -s $@.of/mutant.c $< && \
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@.of/mutant.o $@.of/mutant.c && \
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,--as-needed -o $@ $@.of/mutant.o $(SIM_OBJECTS) \
	    -Wl,--start-group $(SIM_ARCHIVES) -Wl,--end-group $(SIM_LIBS)

# Replayed with fixed inputs in each suite; VARIANT=fuzz links libFuzzer's own main instead.
# FUZZ_OBJECTS_<name>: what a target needs beside the archives of core.
.SECONDEXPANSION:
$(FUZZ_PROGRAMS): $(B)/%: $(B)/%.o $(if $(filter fuzz,$(VARIANT)),,$(B)/tests/fuzz/replay.o) \
                  $$(FUZZ_OBJECTS_$$(notdir $$*)) $(ALL_ARCHIVES)
	$(link) $(TEST_LIBS) $(FUZZ_LIBS_$(notdir $*)) $(if $(filter fuzz,$(VARIANT)),-fsanitize=fuzzer)

E2E_LIBRARIES := %/as_root.sh %/lib.sh %/etcd.sh %/lab.sh %/netns.sh %/nodes.sh %/fence_freeze.sh \
                 %/lu_guest.sh %/split_guests.sh %/ssh_hosts.sh %/sshd.sh

# What the runner is given. TESTS='tests/e2e/lab_*.sh' runs only those that match.
SUITE := $(UNIT_PROGRAMS) $(FUZZ_PROGRAMS) $(wildcard tests/lua/test_*.lua) \
         $(filter-out $(E2E_LIBRARIES),$(wildcard tests/e2e/*.sh)) \
         $(wildcard tests/e2e/*.exp) \
         $(filter-out %/lib.sh,$(wildcard tests/rules/*.sh)) $(SIM) tests/sim/mutations.sh
JOBS  ?= $(shell nproc)
# Most tests wait more than they compute; those that do not are `heavy`, of which two run at once.
TESTS_AT_ONCE ?= $(shell expr 2 \* $(JOBS))
SLOW  := $(if $(filter asan,$(VARIANT)),4,1)

.PHONY: test-programs tools suite unit
test-programs: all tools $(UNIT_PROGRAMS) $(FUZZ_PROGRAMS) $(RUNNER) $(SIM) $(MUTANTS)
tools: $(TOOL_PROGRAMS)

suite: test-programs guest # every test of this VARIANT, or TESTS='...'
	@BUILD=$(abspath $(B)) VARIANT=$(VARIANT) $(RUNNER) -j $(TESTS_AT_ONCE) -x $(SLOW) \
	    $(if $(TESTS),$(wildcard $(TESTS) $(addprefix $(B)/,$(TESTS))),$(SUITE))

unit: $(UNIT_PROGRAMS) $(RUNNER) ## build and run the unit tests only
	@$(RUNNER) -j $(TESTS_AT_ONCE) -x $(SLOW) $(UNIT_PROGRAMS)

# --- what a person or a CI machine calls ---

# Parallel also when the person did not say -j.
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))

.PHONY: deps deps-check check check-asan check-long breaks fuzz sim bench demo
deps: ## install what building and the demo need (Debian)
	@.ci/deps.sh build

deps-check: ## install what the tests and lint need (Debian)
	@.ci/deps.sh check

demo: deps ## four nodes, a guest on remote memory, a kill -9; under two minutes
	@$(SUBMAKE) all guest
	@$(B)/bin/vios scripts/tour.lua

check: deps deps-check ## every test; what must pass before a push (under ten minutes)
	@$(SUBMAKE) all
	@$(SUBMAKE) VARIANT=test suite

check-asan: deps deps-check ## every test under AddressSanitizer and UBSan
	@$(SUBMAKE) VARIANT=asan suite

ROUNDS       ?= 5
CHAOS_ROUNDS ?= 50
SPLIT_ROUNDS ?= 20
FUZZ_SECONDS ?= 60
check-long: deps deps-check ## the suite ROUNDS=5 times, ASan, sim, breaks, fuzzing (hours)
	@for round in $$(seq $(ROUNDS)); do \
	    echo "round $$round of $(ROUNDS)"; $(SUBMAKE) VARIANT=test suite || exit 1; done
	@CHAOS_ROUNDS=$(CHAOS_ROUNDS) $(SUBMAKE) VARIANT=test SLOW=10 suite TESTS=tests/e2e/chaos.sh
	@SWAP_ROUNDS=10 $(SUBMAKE) VARIANT=test SLOW=5 suite \
	    TESTS='tests/e2e/lpar_hibernate_swap.sh tests/e2e/lpar_migrate_swap.sh'
	@MOVE_PLACES=all $(SUBMAKE) VARIANT=test SLOW=5 suite TESTS=tests/e2e/move_crash.sh
	@for round in $$(seq $(SPLIT_ROUNDS)); do echo "split $$round of $(SPLIT_ROUNDS)"; \
	    $(SUBMAKE) VARIANT=test suite \
	        TESTS='$(filter-out $(E2E_LIBRARIES),$(wildcard tests/e2e/split_*.sh))' || exit 1; done
	@IMPORT_ROUNDS=20 $(SUBMAKE) VARIANT=test SLOW=2 suite TESTS=tests/e2e/image.sh
	@EVENT_ROUNDS=100 EVENT_CALLERS=50 $(SUBMAKE) VARIANT=test SLOW=20 suite \
	    TESTS=tests/e2e/event_callers.sh
	@$(SUBMAKE) VARIANT=asan suite
	@$(SUBMAKE) sim
	@$(SUBMAKE) VARIANT=test test-programs
	@MUTATIONS=all BUILD=build/test bash tests/sim/mutations.sh
	@$(SUBMAKE) breaks
	@$(SUBMAKE) fuzz

breaks: ## break a line of the product, tests/breaks/*.patch, and see a test fail; BREAKS='a b'
	@$(SUBMAKE) VARIANT=test test-programs guest
	@BREAKS='$(BREAKS)' bash tests/breaks.sh

SEEDS ?= 10000
sim: ## simulate SEEDS=10000 clusters, each with faults of its own
	@$(SUBMAKE) VARIANT=test sim-run

.PHONY: sim-run
SHARE = $(shell expr \( $(SEEDS) + $(JOBS) - 1 \) / $(JOBS))
sim-run: $(SIM)
	@seq 1 $(SHARE) $(SEEDS) | xargs -P $(JOBS) -I{} $(SIM) --seeds {} $(SHARE)

fuzz: ## search for new inputs with libFuzzer, FUZZ_SECONDS=60 for each target
	@$(SUBMAKE) VARIANT=fuzz CC=clang fuzz-run

.PHONY: fuzz-run
fuzz-run: $(FUZZ_PROGRAMS)
	@for program in $(FUZZ_PROGRAMS); do \
	    name=$${program##*/fuzz_}; found=$(B)/found/$$name; \
	    mkdir -p $$found tests/fuzz/corpus/$$name; echo "fuzzing $$name"; \
	    $$program -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -rss_limit_mb=2048 \
	        -print_final_stats=0 -verbosity=0 -artifact_prefix=$$found/crash- \
	        $$found tests/fuzz/corpus/$$name || exit 1; \
	done

bench: deps deps-check ## measure against peers; a line of JSON each
	@$(SUBMAKE) all test-programs >&2
	@for script in $(filter-out %/lib.sh %/fill_guest.sh,$(wildcard tests/bench/*.sh)); do \
	    BUILD=$(abspath $(B)) bash $$script || exit 1; done

include tests/guest/guest.mk
include tests/lint.mk
