# make            programs in build/bin (V=1 shows the commands)
# make tests      test programs in build/tests (and the programs)
# make asan       both under ASan and UBSan by clang, and the fuzz targets, in build-asan
# make fuzz       the fuzz targets alone
# make faults     both with fault points compiled in (VCC_FAULTS), in build-faults
# make coverage   both by clang with counters of what ran, in build-cov (scripts/coverage)
# make man        manual pages in build/man
# make deb        Debian packages, their debug symbols and a list of what is in them, in build/packages
# make rpm        the same programs as RPM packages
# make CC=clang   the same with clang; B=DIR builds elsewhere

ifeq ($(origin CC),default)
CC := $(if $(SAN),clang,gcc)
endif
B       ?= build
VERSION := 0.1.0

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
HARD := -fPIE -fstack-protector-strong -fstack-clash-protection -ffunction-sections -fdata-sections
OPT  ?= -O2 -g
CPPFLAGS += -I. -D_GNU_SOURCE -DVCC_VERSION='"$(VERSION)"'
LDHARD := -pie -Wl,-z,relro,-z,now -Wl,--gc-sections -Wl,--as-needed
# What is given to nobody is linked in a seventh of the time, by one thread, because make runs as many as there are cores.
TEST_LD := -fuse-ld=mold -Wl,--threads=1
ifdef SAN
OPT  := -O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
CPPFLAGS += -DVCC_FAULTS -DVCC_SANITIZED
LDHARD := -pie $(TEST_LD)
else
CPPFLAGS += -D_FORTIFY_SOURCE=2
endif
ifdef COV
# Counters are a shared mapping of a file opened before main(): a program keeps them when it is killed, ends by _exit or may open nothing any more.
OPT  := -O1 -fcoverage-mapping -fprofile-instr-generate=$(abspath $(B))/counters/%m%c.profraw
CPPFLAGS += -DVCC_FAULTS -mllvm -runtime-counter-relocation
LDHARD := -pie $(TEST_LD)
endif
CFLAGS  := -std=c17 $(OPT) $(WARN) $(HARD)
LDFLAGS := $(OPT) $(LDHARD)
# Fuzzers are led by what the product's objects tell them of their way.
FUZZED  := $(if $(and $(SAN),$(findstring clang,$(CC))),-fsanitize=fuzzer-no-link)
MADE_BY := $(CC) $(CPPFLAGS) $(CFLAGS) $(FUZZED)$(if $(FAULTS),with fault points)
# Binaries do not say where they were built: two builds are equal, wherever they lie.
CFLAGS  += -ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(B)/gen=gen

# Rooms: a room is an archive; main.c of a program room stays out of it.
SHARED_ROOMS  := shared/base shared/model shared/wire shared/pki shared/sys shared/conf
LIB_ROOMS     := $(SHARED_ROOMS) agent/core agent/survey controller/core controller/store
PROGRAM_ROOMS := agent/link agent/keeper agent/hook controller/daemon controller/gateway controller/signer controller/cli
ROOMS         := $(LIB_ROOMS) $(PROGRAM_ROOMS)

Q = $(if $(V),,@)
say = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@echo '  $(1)' $(2))

room_src = $(filter-out %/main.c,$(wildcard $(1)/*.c))
room_lib = $(B)/lib/$(subst /,-,$(1)).a
obj      = $(patsubst %.c,$(B)/obj/%.o,$(1))

# program: room, libraries beside the shared rooms, system libraries
PROGRAMS := vcc-controller vcc-gateway vcc-signer vcc-agent vcc-keeper vcc-hook vccctl
room.vcc-controller := controller/daemon
room.vcc-gateway    := controller/gateway
room.vcc-signer     := controller/signer
room.vcc-agent      := agent/link
room.vcc-keeper     := agent/keeper
room.vcc-hook       := agent/hook
room.vccctl         := controller/cli
also.vcc-controller := controller/core controller/store
also.vcc-agent      := agent/survey
also.vcc-keeper     := agent/core
BASELIBS := -lmsgpackc -lcrypto -lsodium -linih -luv -lseccomp -lcap-ng -lpthread
libs.vcc-controller := -lwebsockets -lssl -lsqlite3 -ljansson -lcurl
libs.vcc-gateway    := -lwebsockets -lssl
libs.vcc-signer     := -lp11-kit
libs.vcc-agent      := -lwebsockets -lssl -ljansson
libs.vcc-keeper     := -lssl -ljansson
libs.vcc-hook       := -lsystemd
libs.vccctl         := -lcurl -ljansson -lsmartcols -lzip

TEST_SRC  := $(wildcard $(patsubst %,tests/%/test_*.c,unit step store sim hostile))
TESTS     := $(basename $(notdir $(TEST_SRC)))
TESTLIBS  := -lcmocka -lp11-kit -lwebsockets -lssl -lsqlite3 -ljansson -lsystemd -lcurl -lsmartcols -lzip
TOOLS     := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/bench_*.c)) $(patsubst tests/lib/%.c,%,$(wildcard tests/lib/tool_*.c))
FUZZERS   := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all programs tests tools sanitized fuzzers asan faults coverage fuzz clean docs man deb rpm
.SECONDEXPANSION:
.SECONDARY:

all: programs $(B)/bin/vcc-fleet
programs: $(PROGRAMS:%=$(B)/bin/%)
tests: all tools $(TESTS:%=$(B)/tests/%)
tools: $(TOOLS:%=$(B)/tests/%)
sanitized: all $(TESTS:%=$(B)/tests/%) $(if $(findstring clang,$(CC)),fuzzers)
fuzzers: $(FUZZERS:%=$(B)/tests/%)
asan: ; $(MAKE) B=build-asan SAN=1 sanitized
faults: ; $(MAKE) B=build-faults FAULTS=1 tests
coverage: ; $(MAKE) B=build-cov CC=clang COV=1 tests
fuzz: ; $(MAKE) B=build-asan SAN=1 fuzzers

$(B)/obj/controller/signer/hs%.o $(B)/obj/tests/unit/test_hs%.o: CPPFLAGS += -isystem /usr/include/p11-kit-1
# Only what has fault points is compiled for them: the other objects are those of the build without, and ccache knows them by their command.
ifdef FAULTS
FAULTED := $(shell grep -rlE --include=*.c 'VCC_FAULTS|shared/sys/fault\.h' agent controller shared tests)
$(FAULTED:%.c=$(B)/obj/%.o): CPPFLAGS += -DVCC_FAULTS
endif
$(ROOMS:%=$(B)/obj/%/%.o): CFLAGS += $(FUZZED)
# All folders at once: thousands of recipes would ask for them otherwise. Another compiler, version or flag makes all objects anew.
FOLDERS := bin gen lib tests $(addprefix obj/,gen $(ROOMS) tests $(patsubst %/,%,$(wildcard tests/*/)))
$(shell mkdir -p $(FOLDERS:%=$(B)/%); echo '$(MADE_BY)' | cmp -s - $(B)/.made-by || echo '$(MADE_BY)' > $(B)/.made-by)
$(B)/obj/%.o: %.c $(B)/.made-by
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MD -MP -c -o $@ $<

# Files that become C arrays: SQL of the schema, shipped templates.
$(B)/gen/schema.c: scripts/embed $(sort $(wildcard controller/store/schema/*.sql))
	$(Q)scripts/embed schema $(sort $(wildcard controller/store/schema/*.sql)) > $@
GEN.controller/store = $(B)/obj/gen/schema.o

$(B)/obj/gen/%.o: $(B)/gen/%.c $(B)/.made-by
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The templates that `init` puts into the store, bodies of messages for chat services, the rules that reports judge by.
define embed_rule
$(B)/gen/$(1).c: scripts/embed $(2)
	$$(Q)scripts/embed $(1) $(2) > $$@
endef
$(foreach n,templates notify compliance,$(eval $(call embed_rule,$(n),$(sort $(wildcard packaging/$(n)/*.json)))))
GEN.controller/daemon = $(B)/obj/gen/templates.o $(B)/obj/gen/web.o $(B)/obj/gen/notify.o $(B)/obj/gen/compliance.o

# The dashboard: our modules and those that the lock file names, compressed, below one hash of them all.
WEB         := $(sort $(wildcard controller/web/*.html controller/web/*.css controller/web/*.js controller/web/*.svg))
WEB_MODULES := controller/web/node_modules
WEB_TAKEN   := $(WEB_MODULES)/htm/preact/standalone.module.js $(WEB_MODULES)/uplot/dist/uPlot.esm.js $(WEB_MODULES)/uplot/dist/uPlot.min.css
$(WEB_MODULES)/.installed: scripts/web-modules controller/web/package-lock.json
	$(Q)scripts/web-modules controller/web
$(B)/gen/web.c: scripts/embed scripts/pack-web $(WEB) $(WEB_MODULES)/.installed
	$(Q)scripts/pack-web $(B)/gen/web $(WEB) $(WEB_TAKEN)
	$(Q)scripts/embed web $(B)/gen/web/build.hash $(B)/gen/web/*.gz > $@

define room_rule
$$(call room_lib,$(1)): $$(call obj,$$(call room_src,$(1))) $$(GEN.$(1))
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_rule,$(r))))

LIBS_OF = $(foreach r,$(1),$(call room_lib,$(r)))
GROUP   = -Wl,--start-group $(1) -Wl,--end-group

define program_rule
$$(B)/bin/$(1): $$(B)/obj/$$(room.$(1))/main.o $$(call LIBS_OF,$$(room.$(1)) $$(also.$(1)) $$(SHARED_ROOMS))
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$< $$(call GROUP,$$(call LIBS_OF,$$(room.$(1)) $$(also.$(1)) $$(SHARED_ROOMS))) $$(libs.$(1)) $$(BASELIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

TEST_LIB := $(call obj,$(filter-out tests/lib/tool_%.c,$(wildcard tests/lib/*.c)))
define test_rule
$$(B)/tests/%: $$(B)/obj/$(1)/%.o $$(TEST_LIB) $$(call LIBS_OF,$$(ROOMS))
	$$(call say,LD,$$@)
	@rm -f $$@
	$$(Q)$$(CC) $$(OPT) -no-pie $$(TEST_LD) -o $$@ $$< $$(TEST_LIB) $$(call GROUP,$$(call LIBS_OF,$$(ROOMS))) $$(TESTLIBS) $$(BASELIBS)
endef
$(foreach d,tests/unit tests/bench tests/lib,$(eval $(call test_rule,$(d))))

# All C tests are one program, without anything to relocate at each start, and links to it (tests/main.c); but one of tests/unit that puts its own
# functions in the place of the crypto library's.
ALONE    := test_csr_cost
TOGETHER := $(filter-out $(ALONE),$(TESTS))
TEST_OBJ := $(call obj,$(filter-out $(ALONE:%=tests/unit/%.c),$(TEST_SRC)))
$(TEST_OBJ): CPPFLAGS += -include tests/main.h -DVCC_TEST=$(*F)
$(TEST_OBJ): CFLAGS += $(if $(SAN),-O0,-O1)
$(TEST_OBJ): tests/main.h
$(B)/obj/tests/main.o: CPPFLAGS += -I$(B)
$(shell printf 'TEST(%s)\n' $(TOGETHER) > $(B)/gen/tests.new; cmp -s $(B)/gen/tests.new $(B)/gen/tests.inc || mv $(B)/gen/tests.new $(B)/gen/tests.inc)
$(B)/tests/together: $(B)/obj/tests/main.o $(TEST_OBJ) $(TEST_LIB) $(call LIBS_OF,$(ROOMS))
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) -no-pie $(TEST_LD) -o $@ $(filter %.o,$^) $(call GROUP,$(call LIBS_OF,$(ROOMS))) $(TESTLIBS) $(BASELIBS)
$(TOGETHER:%=$(B)/tests/%): $(B)/tests/together
	$(Q)ln -sf together $@

# The simulated fleet: a test tool, beside the programs because people run it.
FLEET_ROOMS := agent/core agent/keeper agent/link $(SHARED_ROOMS)
FLEET_OBJ   := $(call obj,$(wildcard tests/fleet/*.c))
$(B)/bin/vcc-fleet: $(FLEET_OBJ) $(call LIBS_OF,$(FLEET_ROOMS))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(FLEET_OBJ) $(call GROUP,$(call LIBS_OF,$(FLEET_ROOMS))) -lssl -ljansson -lm $(BASELIBS)

# The libraries that an agent stands on and nothing else, or it would be no floor.
$(B)/tests/bench_empty: $(B)/obj/tests/bench/bench_empty.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -lwebsockets -lssl -lcrypto

# libFuzzer targets instrument the project's own objects, too.
$(B)/tests/fuzz_%: tests/fuzz/fuzz_%.c $$(call LIBS_OF,$$(ROOMS))
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer -o $@ $< $(call GROUP,$(call LIBS_OF,$(ROOMS))) $(filter-out -lcmocka,$(TESTLIBS)) $(BASELIBS)

docs: $(B)/tests/tool_docs
	$(B)/tests/tool_docs wire > docs/wire.md
	$(B)/tests/tool_docs audit > docs/audit.md
	$(B)/tests/tool_docs rights > docs/rights.md
	$(B)/tests/tool_docs metrics > docs/metrics.md
	$(B)/tests/tool_docs routes > $(B)/routes.md
	sed -i -e '/^<!-- routes -->/,/^<!-- end -->/{//!d}' -e '/^<!-- routes -->/r $(B)/routes.md' docs/api.md
	scripts/security-table
	$(B)/tests/tool_docs catalog > packaging/catalog/vcc-pki.catalog

# Packages, from a copy of the tree with what is built. The dashboard's modules are there before it starts, because it has no network, and the manual pages are made.
PACKAGED := $(shell find Makefile LICENSE README.md agent controller docs packaging scripts shared -type f -not -path '*/node_modules/*')
deb: $(B)/packages/.deb
rpm: $(B)/packages/.rpm
$(B)/packages/.deb: $(PACKAGED) $(WEB_MODULES)/.installed | man programs
	$(Q)B=$(B) VERSION=$(VERSION) scripts/make-packages deb $(B)/packages
	@touch $@
$(B)/packages/.rpm: $(B)/packages/.deb
	$(Q)B=$(B) VERSION=$(VERSION) scripts/make-packages rpm $(B)/packages
	@touch $@
# Manual pages and completions: what the tables say, and prose around it.
MAN := $(patsubst packaging/man/%.scd.in,%,$(wildcard packaging/man/*.scd.in))
AGENT_SHELLS := $(foreach s,bash zsh fish,$(B)/man/vcc-agent.$(s))
man: $(MAN:%=$(B)/man/%) $(AGENT_SHELLS)
$(MAN:%=$(B)/man/%): $(B)/man/%: packaging/man/%.scd.in $(B)/tests/tool_docs
	@mkdir -p $(@D)
	$(Q)$(B)/tests/tool_docs man < $< > $@.scd
	$(Q)SOURCE_DATE_EPOCH=$(MAN_DATE) scdoc < $@.scd > $@.new && mv $@.new $@ && rm $@.scd
# The same text gives the same bytes, whenever it is made.
MAN_DATE := 1767225600
$(AGENT_SHELLS): $(B)/man/vcc-agent.%: $(B)/tests/tool_docs
	@mkdir -p $(@D)
	$(Q)$(B)/tests/tool_docs complete-$* > $@

ifneq ($(filter clean,$(MAKECMDGOALS)),)
ifneq ($(filter-out clean,$(MAKECMDGOALS)),)
$(error `make clean` goes alone: folders that the other goals need are made when make starts, before anything is removed)
endif
endif
clean:
	rm -rf build build-asan build-clang build-cov build-faults build-fuzz

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
