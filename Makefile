# `make demo` and `make test` need nothing but a bare Debian 12 and root. Elsewhere, with the libraries of docs/building.md
# in place: make build BOOTSTRAP=no
BOOTSTRAP ?= yes
# LAB=OFF builds without LibTorch: no veilnet-lab, so no demo.
LAB ?= ON
CMAKE_FLAGS ?=

.PHONY: bootstrap build demo web serve-demo test fuzz format check clean

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

# The browser client, into build/web: docs/web.md. Node has to be there; npm brings the packages that
# web/package-lock.json names.
VEILNET ?= build/release/veilnet
PORT ?= 8000
page := build/web/models/models.json

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci

$(page): web/node_modules/.package-lock.json web/index.html web/vite.config.ts $(wildcard web/src/*) \
		models/index.json scripts/web_models.py
	@test -x $(VEILNET) || { echo "web: there is no $(VEILNET): make build, or VEILNET=PROGRAM"; exit 1; }
	cd web && npm run build
	scripts/web_models.py --veilnet $(VEILNET) --output build/web/models

web: $(page)

serve-demo: $(page)
	@echo "The page: http://127.0.0.1:$(PORT)/   (Ctrl-C ends)"
	@$(VEILNET) serve --model models/cifar10-psi.safetensors --web build/web --port $(PORT)

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
