# A thin front over meson and ninja: `make help` lists what there is.
SHELL = /bin/sh
PREFIX ?= /usr/local
DESTDIR ?=
TIME ?= 60
PORT ?= 8080
BENCHFLAGS ?=
NINJA = ninja $(NINJAFLAGS)

SANITIZE = -Db_sanitize=address,undefined -Db_lundef=false

.DEFAULT_GOAL := all
.PHONY: all run test bench fuzz install uninstall lint deb help clean asan

all: build/build.ninja
	@$(NINJA) -C build src/candor
	@ln -sfn src/candor build/candor

build/build.ninja:
	@scripts/install-deps.sh build
	meson setup build --buildtype=debugoptimized

asan: build-asan/build.ninja
	@$(NINJA) -C build-asan
	@ln -sfn src/candor build-asan/candor

build-asan/build.ninja:
	@scripts/install-deps.sh build
	meson setup build-asan --buildtype=debugoptimized $(SANITIZE) -Dc_args=-fno-sanitize-recover=undefined

run: all
	@exec scripts/run-example.sh $(PORT)

test: all asan
	@scripts/install-deps.sh test
	@$(NINJA) -C build
	@tests/run --optimised build --sanitized build-asan

bench: all
	@scripts/install-deps.sh bench
	@bench/run --candor build/candor $(BENCHFLAGS)
	@bench/diagnose.py --candor build/candor

fuzz: build-fuzz/build.ninja
	@scripts/fuzz.sh build-fuzz $(TIME)

build-fuzz/build.ninja:
	@scripts/install-deps.sh build fuzz
	CC=clang meson setup build-fuzz --buildtype=debugoptimized $(SANITIZE) -Dfuzz=true \
		-Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=undefined'

lint: all
	@scripts/install-deps.sh lint
	@scripts/lint.sh build

install: all
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh install build/src/candor

uninstall:
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh uninstall

deb: all
	@scripts/install-deps.sh deb
	@packaging/make-deb build

clean:
	rm -rf build build-asan build-fuzz
	rm -f bench/out/*.json

help:
	@echo 'make                build build/candor (installs missing build packages)'
	@echo 'make run            serve examples/ on port 8080 (PORT=n for another)'
	@echo 'make test           every test: unit tests on both builds, end to end with sanitizers'
	@echo 'make bench          cost per request beside nginx, h2o, lighttpd, haproxy; logs beside mawk'
	@echo '                    (BENCHFLAGS="--quick --only static1k --rounds 5")'
	@echo 'make fuzz           every fuzz target for TIME=60 seconds'
	@echo 'make lint           clang-tidy, cppcheck, layer check'
	@echo 'make install        into PREFIX=/usr/local, below DESTDIR if given; make uninstall undoes it'
	@echo 'make deb            a Debian package in build/'
	@echo 'make clean          remove what was built'
