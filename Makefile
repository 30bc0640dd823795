# crdbcloud: SQL users of CockroachDB Cloud clusters, managed from Lua.
# `make help` lists the targets. Each ABI is built into a directory of its own:
# build/5.4 for Lua 5.4, build/5.1 for LuaJIT.

BUILD  ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
VERSION := $(shell sed -n 's/^return "\(.*\)"$$/\1/p' lua/crdbcloud/version.lua)

ABIS    = 5.4 5.1

# nginx and pgbouncer are there, which is not in an ordinary user's PATH.
export PATH := $(PATH):/usr/sbin:/sbin

# Flags come from pkg-config, each asked for once and only when something is compiled.
ask  = $(if $(filter-out MISSING,$(1)),$(1),$(if $(1),$(error missing development files, see above: make deps)))
once = $(eval $(1) := $(call ask,$(shell pkg-config $(2) || echo MISSING)))$($(1))
INC_5.4    = $(call once,INC_5.4,--cflags lua5.4)
INC_5.1    = $(call once,INC_5.1,--cflags luajit)
INC_plain  = $(call once,INC_plain,--cflags libcurl libssl libcrypto libutf8proc $(if $(HAVE_PQ),libpq))
LIBS_core  = $(call once,LIBS_core,--libs libcurl libssl libcrypto libutf8proc)
LIBS_pq    = $(call once,LIBS_pq,--libs libpq)
HAVE_PQ   := $(shell pkg-config --exists libpq 2>/dev/null && echo yes)

# Of 32-bit machines only: it would give the calls that specs intercept other names.
LARGE_FILES := $(if $(filter 4,$(shell echo __SIZEOF_POINTER__ | $(CC) -E -P -x c - 2>/dev/null)),-D_FILE_OFFSET_BITS=64)
WARNINGS = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes
COMMON   = -std=c11 -D_GNU_SOURCE $(LARGE_FILES) -Icsrc $(WARNINGS) -fPIC -fvisibility=hidden -DCRDB_VERSION='"$(VERSION)"' $(SANITIZE:%=-fsanitize=%)
LINK     = -shared -fvisibility=hidden -Wl,-z,relro,-z,now,-z,nodelete -Wl,--as-needed $(SANITIZE:%=-fsanitize=%)

# The room decides: only csrc/lua sees Lua's headers and is compiled once per ABI; all other rooms are
# plain C, compiled once. pq.so shares the secret type with core.so.
SOURCES  := $(patsubst csrc/%,%,$(sort $(wildcard csrc/*/*.c)))
ONLY_PQ  := $(filter sql/%.c lua/pq%.c,$(SOURCES))
SRC_core := $(filter-out $(ONLY_PQ),$(SOURCES))
SRC_pq   := $(ONLY_PQ) $(filter base/secret.c base/buffer.c lua/secret.c lua/check.c,$(SOURCES))
MODULES  := core $(and $(HAVE_PQ),pq)

OBJ = $(BUILD)/obj
objects = $(patsubst %.c,$(OBJ)/plain/%.o,$(filter-out lua/%,$(SRC_$(1)))) \
          $(patsubst lua/%.c,$(OBJ)/$(2)/%.o,$(filter lua/%,$(SRC_$(1))))

.PHONY: all modules command objects check-portable check-release deps demo check check-all check-memory check-nginx soak pool-test simulate torture bench bench-rotate coverage-of-protocol check-page fuzz hostile lint format reference sandbox \
        install uninstall clean help rock rock-install FORCE
.DELETE_ON_ERROR:

# Two makes at once, in one directory, wait for each other.
all:
	@mkdir -p $(BUILD)
	@flock $(BUILD)/lock $(MAKE) --no-print-directory modules command
modules: $(foreach abi,$(ABIS),$(MODULES:%=$(BUILD)/$(abi)/crdbcloud/%.so))
command: $(BUILD)/crdbcloud
objects: $(foreach abi,$(ABIS),$(foreach module,$(MODULES),$(call objects,$(module),$(abi))))

# Rewritten only when the flags change, so that objects of other flags are never mixed.
flags = $(subst ",,$(CC) $(CFLAGS) $(COMMON) $(LUA_CFLAGS))
$(OBJ)/flags: FORCE
	@mkdir -p $(OBJ)
	@echo "$(flags)" | cmp -s - $@ || echo "$(flags)" > $@

$(OBJ)/plain/%.o: csrc/%.c $(OBJ)/flags Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(COMMON) $(INC_plain) -MMD -MP -c -o $@ $<

define abi_rules
$(OBJ)/$(1)/%.o: csrc/lua/%.c $(OBJ)/flags Makefile
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(COMMON) $$(or $$(LUA_CFLAGS),$$(INC_$(1))) $$(INC_plain) -MMD -MP -c -o $$@ $$<
$(foreach module,core pq,$(call link_rule,$(1),$(module)))
endef

# Undefined lua_* symbols come from the host; anything else of ours must be there, and only
# luaopen_* may be seen from outside.
define link_rule
$(BUILD)/$(1)/crdbcloud/$(2).so: $(call objects,$(2),$(1))
	@mkdir -p $$(@D)
	$$(CC) $$(LINK) $$(LDFLAGS) -o $$@.new $$^ $$(LIBS_$(2)) -lm -lpthread
	@! nm -D --defined-only $$@.new | grep -v ' T luaopen_crdbcloud_$(2)$$$$' || { echo '$$@ exports the symbols above' >&2; exit 1; }
	@! nm -u $$@.new | grep ' U crdb_' || { echo '$$@ lacks the symbols above' >&2; exit 1; }
	@mv $$@.new $$@

endef
$(foreach abi,$(ABIS),$(eval $(call abi_rules,$(abi))))

-include $(wildcard $(OBJ)/*/*.d $(OBJ)/*/*/*.d)

# The command for this checkout; `make install` writes the same file with the installed paths.
launcher = sed -e 's|@LUADIR@|$(1)|' -e 's|@LIBDIR@|$(2)|' lua/crdbcloud/cli/launcher.in
$(BUILD)/crdbcloud: FORCE
	@mkdir -p $(BUILD)
	@$(call launcher,$(CURDIR)/lua,$(abspath $(BUILD))/%) | cmp -s - $@ || \
	  { $(call launcher,$(CURDIR)/lua,$(abspath $(BUILD))/%) > $@ && chmod 755 $@; }

deps:
	@.ci/deps build check lint memory sandbox

demo:
	@.ci/deps build sandbox
	@$(MAKE) --no-print-directory all
	@examples/demo.sh

check:
	@.ci/deps build check sandbox
	@$(MAKE) --no-print-directory all
	@ALL=$(ALL) BUILD=$(BUILD) spec/support/run $(SPECS)

check-all:
	@$(MAKE) --no-print-directory check ALL=1

check-memory:
	@.ci/deps build check memory sandbox
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory BUILD=build/asan CFLAGS='-O1 -g -fno-omit-frame-pointer' SANITIZE=address,undefined modules
	@spec/support/memory $(SPECS)

# nginx under load, and under ASan and valgrind; 6 minutes. NGINX_PARTS="latency mixed ..."
check-nginx:
	@.ci/deps build check memory sandbox
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory BUILD=build/asan CFLAGS='-O1 -g -fno-omit-frame-pointer' SANITIZE=address,undefined modules
	@LUA_PATH='./lua/?.lua;./lua/?/init.lua;./?.lua;;' LUA_CPATH='./$(BUILD)/5.4/?.so;;' lua5.4 spec/nginx_load/run.lua

# Every boundary of every workflow killed once, every call of the store failed once; 15 minutes. TORTURE="PART..." TORTURE_SEED=...
torture:
	@.ci/deps build check sandbox
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) spec/torture/run

# Rotators in a simulated world, each interleaving from a seed of its own; SIM_RUNS=20000 SIM_FROM=1
simulate:
	@.ci/deps build check
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) spec/sim/simulate

# Two rotators on one SQL store, killed and frozen at random; SOAK_SECONDS=450 SOAK_USERS=200 SOAK_SEED=...
soak:
	@.ci/deps build check sandbox
	@$(MAKE) --no-print-directory all
	@LUA_PATH='./lua/?.lua;./lua/?/init.lua;./?.lua;;' LUA_CPATH='./$(BUILD)/5.4/?.so;;' lua5.4 spec/soak/run.lua

# Programs that keep connecting while the passwords they use are rotated; two minutes. POOL_TURNS=18 POOL_POOLS=2
# Each crash point and hostile case of the protocol with its specs; fails when one has none.
coverage-of-protocol:
	@lua5.4 spec/support/lint/coverage.lua

pool-test:
	@.ci/deps build check sandbox
	@$(MAKE) --no-print-directory all
	@LUA_PATH='./lua/?.lua;./lua/?/init.lua;./?.lua;;' LUA_CPATH='./$(BUILD)/5.4/?.so;;' lua5.4 spec/pool/run.lua

# The page of examples/nginx in Chromium: by clicks and forms, light and dark, narrow and wide. PAGE_PICTURES=DIR
check-page:
	@.ci/deps build sandbox page
	@$(MAKE) --no-print-directory all
	@spec/page/run

# Other machines, C libraries and compilers, as far as compiling goes: arm64, 32-bit, musl, clang, -Os.
check-portable:
	@.ci/deps build portable
	@BUILD=$(BUILD) spec/support/portable

# README's commands in a bare Debian of RELEASE, as root and as an ordinary user; an hour. RELEASE=trixie RELEASE_DIR=DIR
check-release:
	@.ci/deps release
	@spec/support/release $(RELEASE)

bench:
	@.ci/deps build sandbox
	@$(MAKE) --no-print-directory all
	@spec/bench/run

# How close a rotation of many users comes to what the API's rate limit allows; two minutes.
bench-rotate:
	@.ci/deps build check sandbox
	@$(MAKE) --no-print-directory all
	@LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$(CURDIR)/?.lua;;' LUA_CPATH='$(abspath $(BUILD))/5.4/?.so;;' \
	  lua5.4 spec/bench/rotate.lua

# Each target is one C file without Lua, linked with the plain C of csrc. FUZZ_SECONDS is per target.
FUZZ_SECONDS ?= 20
fuzz:
	@.ci/deps build lint
	@BUILD=$(BUILD)/fuzz FUZZ_SECONDS=$(FUZZ_SECONDS) spec/fuzz/run

# Generated answers against each call and workflow; `make check` takes a few of them.
HOSTILE_RUNS ?= 10000
hostile: modules
	@.ci/deps build check
	@BUILD=$(BUILD) HOSTILE_RUNS=$(HOSTILE_RUNS) JOBS=1 spec/support/run spec/hostile/generated_spec.lua

lint:
	@.ci/deps build check lint
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory BUILD=build/lint CFLAGS='$(CFLAGS) -Werror' modules
	@spec/support/lint/run

format:
	@.ci/deps lint
	clang-format -i $(shell find csrc spec -name '*.[ch]')

# The reference and the declarations for editors, from the texts that help() shows.
reference:
	@.ci/deps build
	@$(MAKE) --no-print-directory all
	@LUA_PATH='./lua/?.lua;./lua/?/init.lua;;' LUA_CPATH='./$(BUILD)/5.4/?.so;;' lua5.4 spec/support/reference.lua

sandbox:
	@.ci/deps build sandbox >&2
	@$(MAKE) --no-print-directory all >&2
	@examples/sandbox/sandbox start

LUADIR_abi = $(PREFIX)/share/lua/$(1)
LIBDIR_abi = $(PREFIX)/lib/lua/$(1)
LUA_FILES := $(shell cd lua && find crdbcloud -name '*.lua' | LC_ALL=C sort)

# $(1): where Lua files go, $(2): where C modules go, $(3): the ABI's build directory
define copy
install -d '$(DESTDIR)$(2)/crdbcloud'
install -m 755 $(MODULES:%=$(BUILD)/$(3)/crdbcloud/%.so) '$(DESTDIR)$(2)/crdbcloud/'
cd lua && for f in $(LUA_FILES); do install -D -m 644 $$f '$(DESTDIR)$(1)/'$$f || exit 1; done

endef

install: modules
	$(foreach abi,$(ABIS),$(call copy,$(call LUADIR_abi,$(abi)),$(call LIBDIR_abi,$(abi)),$(abi)))
	install -d '$(DESTDIR)$(PREFIX)/bin'
	$(call launcher,$(call LUADIR_abi,%),$(call LIBDIR_abi,%)) > '$(DESTDIR)$(PREFIX)/bin/crdbcloud'
	chmod 755 '$(DESTDIR)$(PREFIX)/bin/crdbcloud'

uninstall:
	rm -rf $(foreach abi,$(ABIS),'$(DESTDIR)$(call LUADIR_abi,$(abi))/crdbcloud' '$(DESTDIR)$(call LIBDIR_abi,$(abi))/crdbcloud')
	rm -f '$(DESTDIR)$(PREFIX)/bin/crdbcloud'

# For LuaRocks, one ABI at a time: it passes CFLAGS, LIBFLAG, LUA_INCDIR, LIBDIR, LUADIR and BINDIR, moves what is
# installed there to another place, and starts the command with the paths set.
rock:
	@echo '#include "lua/compat.h"' | $(CC) -Icsrc -I'$(LUA_INCDIR)' -fsyntax-only -x c -
	$(MAKE) BUILD=build/rock ABIS=5.4 LUA_CFLAGS='-I$(LUA_INCDIR)' CFLAGS='$(CFLAGS)' LDFLAGS='$(LIBFLAG)' modules
rock-install: BUILD = build/rock
rock-install:
	$(call copy,$(LUADIR),$(LIBDIR),5.4)
	install -d '$(BINDIR)'
	sed '/^local abi/,/^package.cpath/d' lua/crdbcloud/cli/launcher.in > '$(BINDIR)/crdbcloud'
	chmod 755 '$(BINDIR)/crdbcloud'

clean:
	rm -rf build

help:
	@printf '%s\n' \
	  'make              build both ABIs and the command into build/' \
	  'make deps         install what the targets below need (apt; says what and why)' \
	  'make demo         the whole story against a local server and database' \
	  'make check        every spec, under Lua 5.4 and LuaJIT where that matters; SPECS=FILE...' \
  'make check-all    every spec under both' \
	  'make check-memory the same with AddressSanitizer and UBSan, then valgrind' \
	  'make check-nginx  nginx under load, in figures: latency, memory, reloads, kills, secrets' \
	  'make torture      every crash point and failing call of every workflow, and the simulation' \
	  'make simulate     20,000 interleavings of rotators in a simulated world; SIM_RUNS=20000' \
	  'make soak         two rotators on one store, killed and frozen at random; SOAK_SECONDS=450' \
	  'make coverage-of-protocol   each crash point and hostile case with its specs' \
	  'make pool-test    programs that keep connecting during rotations: none may fail' \
	  'make check-page   the page of examples/nginx in Chromium; pictures in build/page' \
	  'make check-portable compile for arm64, 32-bit, musl, by clang and for size' \
	  'make check-release   the commands of the README in a bare Debian; RELEASE=trixie' \
	  'make lint         luacheck, syntax of both Lua versions, clang-format, surface, rooms' \
	  'make format       clang-format in place' \
	  'make reference    examples/REFERENCE.md and the declarations for editors' \
	  'make fuzz         fuzz the parsers, FUZZ_SECONDS=20 each' \
	  'make hostile      HOSTILE_RUNS=10000 generated answers against each call and workflow' \
	  'make bench        what a call costs, against the sandbox' \
	  'make bench-rotate 1,000 users rotated in threads, against the rate limit' \
	  'make sandbox      start the sandbox and print its environment' \
	  'make install      PREFIX=/usr/local DESTDIR=' \
	  'make uninstall    the same paths, removed' \
	  'make clean        remove build/'
