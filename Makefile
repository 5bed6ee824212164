# Vayla - one Makefile, not recursive over folders. `make help` says what there is.
#
#   SAN=address|thread   a sanitizer's build, in a folder of its own
#   CC=clang             another compiler
#   WERROR=1             warnings are errors
#   V=1                  show the commands
SHELL := /bin/bash
.DEFAULT_GOAL := all
, := ,

SAN ?=
BUILD ?= build$(if $(SAN),/$(SAN))
ifeq ($(origin CC),default)
CC := gcc
endif
V ?=
Q := $(if $(V),,@)

PKGS := libzmq libcurl yaml-0.1 sqlite3 libmicrohttpd libcrypto msgpack expat
WARN := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla \
	$(if $(WERROR),-Werror)
HARDEN := -fstack-protector-strong -fPIE \
	$(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
SANFLAGS := $(if $(filter address,$(SAN)),-fsanitize=address$(,)undefined \
	-fno-sanitize-recover=all)$(if $(filter thread,$(SAN)),-fsanitize=thread)$(if \
	$(filter fuzz,$(SAN)),-fsanitize=fuzzer-no-link$(,)address$(,)undefined \
	-fno-sanitize-recover=all)
# what libzmq hands between its threads is no race of ours
export TSAN_OPTIONS ?= suppressions=$(CURDIR)/tests/tsan.supp
OPT ?= $(if $(SAN),-O1,-O2) -g
CFLAGS := -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) $(HARDEN) $(SANFLAGS) \
	-fno-omit-frame-pointer $(DEFS) -I.
CFLAGS += $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
# sanitizer builds can be ended at named places (broker/core/fail.h)
CFLAGS += $(if $(SAN),-DVAYLA_FAILPOINTS)
LDFLAGS := -pie -Wl,-z,relro,-z,now $(SANFLAGS)
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -pthread -lm

ROOMS := broker/base broker/wire broker/core broker/console mappings/engine \
	connectors/sdk connectors/receiver connectors/http connectors/file \
	connectors/mail connectors/sim
SRCS := $(sort $(wildcard $(addsuffix /*.c,$(ROOMS))))
ROOF := $(sort $(wildcard broker/*.c))
OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/*_test.c)))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(sort $(wildcard tests/bench/*.c)))

.PHONY: all
all: $(BUILD)/vayla

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC   $@")
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libvayla.a: $(call OBJ,$(SRCS))
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/vayla: $(call OBJ,$(ROOF)) $(BUILD)/libvayla.a
	$(if $(Q),@echo "  LINK $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# What the console shows stands in the program: see broker/console/files.c.
$(BUILD)/obj/broker/console/files.o: $(wildcard broker/console/web/*)

$(BUILD)/unit/% $(BUILD)/bench/%: LINK = $(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libvayla.a
	@mkdir -p $(@D)
	$(Q)$(LINK)
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/libvayla.a
	@mkdir -p $(@D)
	$(Q)$(LINK) $$(pkg-config --libs jansson)

##@ The two that matter
.PHONY: run
run: ## install what is missing, build, and play a shop's day against it
	@deploy/need.sh run
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@exec $(BUILD)/vayla demo

.PHONY: test
test: ## install what is missing, build, and run every test (some minutes)
	@deploy/need.sh run test
	@tests/run.sh

##@ Parts and slow things
.PHONY: unit
unit: $(UNITS) ## the unit tests of this build (SAN=address, SAN=thread)
	@fail=0; for t in $^; do $$t || fail=1; done; exit $$fail

.PHONY: unit-programs
unit-programs: $(UNITS)

.PHONY: e2e
e2e: all ## the end-to-end tests alone
	@VAYLA_BUILD=$(BUILD) /usr/bin/python3 -m pytest -q tests/e2e tests/diff

.PHONY: fault
fault: ## weeks of 2,000 orders, one with processes killed, a full disk and closed books; 1,000 rounds at named failpoints; 10,000 power failures; hostile peers, a bad network
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=build/fault DEFS=-DVAYLA_FAILPOINTS all
	@VAYLA_BUILD=build/fault /usr/bin/python3 -m pytest -q -rP -p no:cacheprovider tests/fault
	@VAYLA_BUILD=build/fault VAYLA_CRASH_ROUNDS=200 VAYLA_FAIL_ROUNDS=1000 VAYLA_SCHEDULES=10000 VAYLA_STANDBY_ROUNDS=200 \
		/usr/bin/python3 -m pytest -q -rP -p no:cacheprovider tests/e2e/test_crash.py tests/e2e/test_power.py \
		tests/e2e/test_standby.py

DIFF_SEED ?= $(shell date +%s)
.PHONY: diff
diff: all ## mappings against an independent evaluator: 100,000 expressions, 10,000 orders, every pack
	@deploy/need.sh run test
	@VAYLA_BUILD=$(BUILD) /usr/bin/python3 tests/diff/run.py --seed $(DIFF_SEED)

.PHONY: lint
lint: ## layers, sizes, formatting, words; warnings of gcc and clang
	@deploy/need.sh run test
	@tests/lint/run.sh

.PHONY: bench
bench: ## measure beside the named peers; writes build/bench.tsv
	@deploy/need.sh run bench
	@$(MAKE) --no-print-directory -j$$(nproc) bench-programs all
	@tests/bench/run.sh $(BUILD)
.PHONY: bench-programs
bench-programs: $(BENCHES)

.PHONY: peers
peers: all ## what other programs make of our files (npm: prettier)
	@deploy/need.sh run test
	@VAYLA_BUILD=$(BUILD) /usr/bin/python3 -m pytest -q -rs -p no:cacheprovider tests/peers

.PHONY: fresh
fresh: ## both commands in a Debian 12 made for it, from a clean clone (root)
	@deploy/need.sh fresh
	@tests/fresh.sh

# Fuzz targets are clang's, in a build of their own (SAN=fuzz). What they find on
# the way stays in build/fuzz/corpus. FUZZ=fuzz_map runs that one alone.
FUZZ_SECONDS ?= 60
FUZZ ?= $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZERS := $(FUZZ:%=build/fuzz/%)
build/fuzz/fuzz_%: build/fuzz/obj/tests/fuzz/fuzz_%.o build/fuzz/libvayla.a
	@mkdir -p $(@D)/corpus/fuzz_$*
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)
.PHONY: fuzz-programs
fuzz-programs: $(FUZZERS)
.PHONY: fuzz
fuzz: ## every decoder and the mapping language under libFuzzer, FUZZ_SECONDS each
	@deploy/need.sh run test
	@$(MAKE) --no-print-directory -j$$(nproc) SAN=fuzz CC=clang fuzz-programs
	@tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZERS)

prefix ?= /usr/local
.PHONY: install
install: all ## into $(prefix), or DESTDIR$(prefix)
	install -D -m 755 $(BUILD)/vayla $(DESTDIR)$(prefix)/bin/vayla
	mkdir -p $(DESTDIR)$(prefix)/share/vayla
	cp -R mappings $(DESTDIR)$(prefix)/share/vayla/
	rm -rf $(DESTDIR)$(prefix)/share/vayla/mappings/engine

.PHONY: clean
clean: ## remove what was built (never ./var)
	rm -rf build

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^##@/ {print "\n" substr($$0, 5)} /^[a-z0-9]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
