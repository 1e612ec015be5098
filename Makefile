# What people and CI call; `make help` lists it. Plain make, nothing to configure.
.POSIX:

CARGO = cargo
PREFIX = /usr/local
DESTDIR =
# Where cargo puts what it builds.
TARGET = $${CARGO_TARGET_DIR:-target}
# For `make stress`: how often the tests are run in a row, and how long the crash loop goes on.
ROUNDS = 50
CRASH_SECONDS = 600

BINDIR = $(DESTDIR)$(PREFIX)/bin
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/plausch
MANDIR = $(DESTDIR)$(PREFIX)/share/man
COMPLETIONS = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
UNITDIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
# Those that were built: the client is a feature.
PROGRAMS = plauschd plauschctl plausch

.PHONY: all help build run test check bench stress faults attacks manual deb install uninstall clean

all: help

help:
	@echo 'make run        build the server and serve on 127.0.0.1:4110; Ctrl-C ends it'
	@echo 'make test       all tests'
	@echo 'make check      formatting, lints, documentation, tests: before a commit'
	@echo 'make faults     crashes, power cuts, failing disks and networks (needs root, see'
	@echo '                docs/RELIABILITY.md)'
	@echo 'make attacks    the server attacked, fuzzed and raced; what its parts are licensed under'
	@echo 'make bench      measure'
	@echo 'make stress     the tests ROUNDS=$(ROUNDS) times under load, then a crash loop of'
	@echo '                CRASH_SECONDS=$(CRASH_SECONDS)'
	@echo 'make manual     write the options into the manual pages and completions'
	@echo 'make deb        a package for Debian and its relatives'
	@echo 'make install    into PREFIX=$(PREFIX), below DESTDIR; make uninstall undoes it'
	@echo 'make clean      remove what was built'

build:
	@$(CARGO) build --release --bin plauschd --bin plauschctl --bin plausch

run: build
	@echo
	@echo "In another terminal:  $(TARGET)/release/plausch"
	@echo 'or, to see packets:   telnet 127.0.0.1 4110    (or: nc -C 127.0.0.1 4110)'
	@echo
	@echo '  117 hans swordfish hans@example.org m   register hans     -> 222 400'
	@echo '  117 jane codfish42 jane@example.org f   register jane     -> 222 400'
	@echo '  110 hans swordfish                      log in            -> 212 400 hans'
	@echo '  121 jane                                a contact request -> 232 400'
	@echo '  help                                    all there is      -> 210 ..., 210 end'
	@echo
	@exec "$(TARGET)/release/plauschd" --explain

# The unit tests compute where the others wait, so they run beside each other.
test:
	@$(CARGO) test --no-run
	@$(CARGO) test --lib & units=$$!; \
	    $(CARGO) test --test all; others=$$?; \
	    wait $$units && exit $$others

check:
	@$(CARGO) fmt --check
	@$(CARGO) clippy --all-targets --features bench -- -D warnings
	@$(CARGO) clippy --no-default-features --all-targets -- -D warnings
	@RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps
	@$(MAKE) test

faults: build
	@scripts/crash-loop 60
	@scripts/power-cut
	@scripts/ack-after-sync
	@scripts/faults-disk
	@scripts/faults-files
	@scripts/faults-limits
	@scripts/telnet-smoke
	@scripts/tls-smoke
	@scripts/proxy-smoke
	@scripts/net-cut
	@scripts/net-listen
	@scripts/net-slow
	@scripts/receive-cuts 300

attacks: build
	@scripts/attacks
	@scripts/boofuzz-cases
	@scripts/fuzz 60
	@PLAUSCH_ORDERS=1000 $(CARGO) test --lib races
	@scripts/licences

bench: build
	@scripts/bench

stress: build
	@scripts/stress $(ROUNDS) $(CRASH_SECONDS)

# Writes the tables of options into the manual pages and the completions.
manual:
	@PLAUSCH_WRITE=1 $(CARGO) test --test all manual::

# A package of what `make build` has built, by cargo-deb (cargo install cargo-deb --locked).
deb: build
	@scripts/deb

# Builds only when nothing was built yet, so that root needs no cargo. With PREFIX=/usr the service
# goes to where the system looks for it, otherwise below PREFIX.
install:
	@test -x "$(TARGET)/release/plauschd" || $(MAKE) build
	@mkdir -p '$(BINDIR)' '$(DOCDIR)' '$(MANDIR)/man1' '$(MANDIR)/man8' '$(COMPLETIONS)' \
	    '$(UNITDIR)'
	@for program in $(PROGRAMS); do \
	    if test -x "$(TARGET)/release/$$program"; then \
	        install -m 755 "$(TARGET)/release/$$program" '$(BINDIR)' \
	            && install -m 644 "scripts/packaging/completions/$$program" '$(COMPLETIONS)' \
	            && echo "installed $(BINDIR)/$$program" || exit 1; \
	        for section in 1 8; do \
	            if test -f "scripts/packaging/man/$$program.$$section"; then \
	                install -m 644 "scripts/packaging/man/$$program.$$section" \
	                    "$(MANDIR)/man$$section" || exit 1; fi; done; fi; done
	@sed 's|/usr/bin/plauschd|$(PREFIX)/bin/plauschd|' scripts/packaging/plauschd.service >'$(UNITDIR)/plauschd.service'
	@chmod 644 '$(UNITDIR)/plauschd.service'
	@for file in README.md CHANGELOG.md LICENSE* docs/*.md; do \
	    if test -f "$$file"; then install -m 644 "$$file" '$(DOCDIR)' || exit 1; fi; done
	@sed 's|/usr/bin/plauschd|$(PREFIX)/bin/plauschd|' scripts/packaging/plauschd.init >'$(DOCDIR)/plauschd.init'
	@install -m 644 scripts/packaging/plauschd.default '$(DOCDIR)'
	@install -m 755 scripts/make-cert.sh '$(DOCDIR)'

uninstall:
	@for program in $(PROGRAMS); do \
	    rm -f '$(BINDIR)/'"$$program" '$(COMPLETIONS)/'"$$program" \
	        '$(MANDIR)/man1/'"$$program.1" '$(MANDIR)/man8/'"$$program.8"; done
	@rm -f '$(UNITDIR)/plauschd.service'
	@rm -rf '$(DOCDIR)'

clean:
	@$(CARGO) clean
