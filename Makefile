# Vayla - one Makefile, not recursive. `make help` lists the targets.
#
#   BUILD   where everything goes            (build)
#   SAN     address | thread | (none)        each with a build folder of its own
#   CC      gcc or clang
SHELL := /bin/bash
.DEFAULT_GOAL := all

SAN ?=
BUILD ?= build$(if $(SAN),/$(SAN))
CC ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif

PKGS := libzmq libcurl yaml-0.1 sqlite3 libmicrohttpd libcrypto expat msgpack
WARN := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla \
	$(if $(WERROR),-Werror)
HARDEN := -fstack-protector-strong -fPIE \
	$(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
SANFLAGS := $(if $(filter address,$(SAN)),-fsanitize=address$(,)undefined \
	-fno-sanitize-recover=all,$(if $(filter thread,$(SAN)),-fsanitize=thread))
, := ,
OPT ?= $(if $(SAN),-O1,-O2) -g
CFLAGS := -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) $(HARDEN) \
	$(subst $(space),,$(SANFLAGS)) -fno-omit-frame-pointer
CFLAGS += -I. $(shell pkg-config --cflags $(PKGS) 2>/dev/null) -MMD -MP
LDFLAGS := -pie -Wl,-z,relro,-z,now $(SANFLAGS)
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -pthread -lm

SRCS := $(sort $(wildcard broker/base/*.c broker/wire/*.c broker/core/*.c \
	broker/console/*.c mappings/engine/*.c connectors/*/*.c))
LIBOBJS := $(SRCS:%.c=$(BUILD)/obj/%.o)
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/*_test.c)))

.PHONY: all
all: $(BUILD)/vayla

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

$(BUILD)/libvayla.a: $(LIBOBJS)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/vayla: $(BUILD)/obj/broker/main.o $(BUILD)/libvayla.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libvayla.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

.PHONY: unit
unit: $(UNITS)
	@fail=0; for t in $^; do $$t || fail=1; done; exit $$fail

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
