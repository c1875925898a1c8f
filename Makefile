# `make demo` and `make test` need nothing but a bare Debian 12 and root. Elsewhere, with the libraries of docs/building.md
# in place: make build BOOTSTRAP=no
BOOTSTRAP ?= yes
# LAB=OFF builds without LibTorch: no veilnet-lab, so no demo.
LAB ?= ON
CMAKE_FLAGS ?=

.PHONY: bootstrap build demo test fuzz format check clean

bootstrap:
ifneq ($(BOOTSTRAP),no)
	@scripts/bootstrap.sh $(if $(filter OFF,$(LAB)),--no-lab)
endif

build: bootstrap
	cmake --preset release -DVEILNET_LAB=$(LAB) $(CMAKE_FLAGS)
	cmake --build --preset release

demo: bootstrap
	cmake --preset release -DVEILNET_LAB=ON $(CMAKE_FLAGS)
	cmake --build --preset release --target veilnet veilnet-lab
	build/release/veilnet demo

# Tests use one thread each. OpenMP collapses when more threads than cores run, hence no more than two at a time.
test: build
	ctest --test-dir build/release --output-on-failure --no-tests=error -j2

# Needs clang-14 and libclang-rt-14-dev. Each target runs so many seconds.
FUZZ_SECONDS ?= 60
fuzz:
	scripts/fuzz.py --seconds $(FUZZ_SECONDS)

format:
	scripts/format.sh

check: build
	scripts/format.sh --check
	scripts/check-includes.py
	scripts/tidy.py

clean:
	rm -rf build
