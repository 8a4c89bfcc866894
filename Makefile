# Facet: `make run` sets everything up and starts it, `make test` checks everything. `make help` lists the rest.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
# Without compiling: Python compiles what is imported when it first is, and most of it never is.
PIP    := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt
TIERS  := chassis cli detector retinaface embedder anonymizer gateway evaluation
ENGINE ?= $(notdir $(shell command -v podman || command -v docker))
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
SOURCES := services gateway cli client tests benchmarks setup.py

# Installs Debian packages where this user may, and says what to do where not.
define apt_install
	if [ "$$(id -u)" = 0 ]; then apt-get -qq update && apt-get -qq install -y --no-install-recommends $(1) >/dev/null; \
	elif sudo -n true 2>/dev/null; then sudo apt-get -qq update && sudo apt-get -qq install -y --no-install-recommends $(1) >/dev/null; \
	else echo "Please install these first: sudo apt-get install $(1)" >&2; exit 1; fi
endef

# Python keeps what it compiles, or every process would do it anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run models test check format lint types imports unit integration scaling faults fuzz soak leak-scan folders package-test e2e k8s-check kubectl promtool bench bench-folders bench-detector bench-embedder bench-replicas bench-attack bench-keep bench-jpeg bench-deface images images-test image-embedder-cuda image-detector-retinaface protos system nameserver network browser clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run system models ## Set up what is missing and start all tiers and the page
	@$(BIN)/facet up

models: $(VENV)/.run ## Install the light models (a few MB)
	@$(BIN)/facet models pull --light

# So that no process is left with a long one when the others have ended.
LONGEST_FIRST := $(addprefix tests/,e2e integration unit/embedder unit/detector unit/anonymizer unit contract)

# The browser is installed while Python's packages are. Several tests run at once: threads of each for its matrices
# would only wait for the others'.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: ## Run the whole check
	@$(MAKE) --no-print-directory --jobs=2 $(VENV)/.dev browser
	@$(MAKE) --no-print-directory models
	@$(MAKE) --no-print-directory --jobs=2 --output-sync check k8s-check
	@$(BIN)/pytest --quiet --numprocesses=4 --dist=loadfile --no-loadscope-reorder $(LONGEST_FIRST)
	@$(BIN)/pytest --quiet tests/load

check: format lint types imports ## Check format, lint, types and import rules

format: $(VENV)/.dev ## Check the format (`.venv/bin/ruff format` mends it)
	@$(BIN)/ruff format --check --quiet $(SOURCES)

lint: $(VENV)/.dev ## Lint
	@$(BIN)/ruff check --quiet $(SOURCES)

types: $(VENV)/.dev ## Check types (mypy --strict)
	@$(BIN)/mypy --no-error-summary

imports: $(VENV)/.dev ## Check that imports point one way
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

unit: $(VENV)/.dev models system ## Run the unit and contract tests
	@$(BIN)/pytest --quiet tests/unit tests/contract

integration: $(VENV)/.dev models system ## Run the tests that start real servers
	@$(BIN)/pytest --quiet tests/integration

scaling: $(VENV)/.dev models system nameserver ## Add, remove, restart, kill and hang replicas under load (ten minutes)
	@$(BIN)/pytest --quiet tests/scaling

faults: $(VENV)/.dev models system nameserver network ## Kill, hang, slow, freeze, cut off, fill and expire things under load (five minutes; as root all of it)
	@$(BIN)/pytest --quiet tests/faults

fuzz: $(VENV)/.dev models system ## Send 100,000 fuzzed requests over REST, raw HTTP and gRPC; none may end in a fault (ten minutes)
	@$(PIP) schemathesis
	@$(BIN)/python -m tests.hostile.boundaries
	@$(BIN)/python -m tests.hostile.fuzz $(FUZZ_FLAGS)

soak: $(VENV)/.dev models system ## Send 20,000 pictures; no process may grow (ten minutes)
	@$(BIN)/python -m tests.hostile.soak $(SOAK_FLAGS)

leak-scan: $(VENV)/.dev models system ## Search all that was written in a run for what was sent in it (a minute)
	@command -v strace >/dev/null || { $(call apt_install,strace); }
	@$(BIN)/python -m tests.hostile.leak_scan

package-test: $(VENV)/.dev system ## Install the wheel into an empty environment and hide a face with it (asks the package index)
	@command -v strace >/dev/null || { $(call apt_install,strace); }
	@$(BIN)/pytest --quiet tests/package

e2e: $(VENV)/.dev models browser ## Drive the page in a real browser
	@$(BIN)/pytest --quiet tests/e2e

k8s-check: $(VENV)/.dev kubectl promtool ## Render every overlay with every component, check them, and check the checks
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pytest --quiet --numprocesses=2 --dist=loadfile tests/k8s

kubectl: $(VENV)/bin/python ## Fetch kubectl, where there is none or one too old to know components
	@PATH="$(abspath $(BIN)):$$PATH"; kubectl version --client 2>/dev/null | grep -Eq 'Kustomize Version: v([5-9]|[1-9][0-9])' \
		|| sh tests/k8s/unpack_program.sh kubectl $(BIN)

promtool: $(VENV)/bin/python ## Fetch promtool, which checks alerts and queries
	@PATH="$(abspath $(BIN)):$$PATH"; command -v promtool >/dev/null || sh tests/k8s/unpack_program.sh promtool $(BIN)

network: ## Install what makes networks that tests cut off, which root alone can do
	@PATH="$$PATH:/usr/sbin"; [ "$$(id -u)" != 0 ] || { command -v ip && command -v iptables; } >/dev/null || { $(call apt_install,iproute2 iptables); }

nameserver: ## Install the name server that gives tests a name for many replicas
	@PATH="$$PATH:/usr/sbin" command -v dnsmasq >/dev/null || { $(call apt_install,dnsmasq-base); }

folders: $(VENV)/.dev models system ## Anonymize 2,000 pictures, killed on the way, sharded, from and to an S3 server
	@$(BIN)/pytest --quiet tests/folders

browser: system ## Install the browser that the tests drive
	@command -v chromium >/dev/null || { $(call apt_install,chromium fonts-dejavu-core); }

bench: $(VENV)/.dev models system ## Measure: REST, gRPC and the same work in one process, side by side
	@$(BIN)/python -m benchmarks.paths

bench-folders: $(VENV)/.dev models system ## Measure: a folder through the command beside the same pictures over REST
	@$(BIN)/python -m benchmarks.folders

bench-detector: $(VENV)/.dev models system ## Measure: RetinaFace against onnxruntime (installs it), large pictures
	@$(PIP) onnx onnxruntime
	@$(BIN)/python -m benchmarks.detector

bench-embedder: $(VENV)/.dev models ## Measure: the embedder against other engines (installs them)
	@$(PIP) onnx onnxruntime
	@$(BIN)/python -m benchmarks.embedder_cpu

bench-replicas: $(VENV)/.dev models system nameserver ## Measure: one, two and three replicas held to 0.4 processors (needs root)
	@$(BIN)/python -m benchmarks.replicas

bench-attack: $(VENV)/.dev models system ## Measure: what a face recogniser learns from hidden faces (PICTURES=a folder a person)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.attack $(PICTURES) --plot attack.png

bench-keep: $(VENV)/.dev models system ## Measure: who stays visible by keep and only (PICTURES=a folder with crowd, group, people, portraits)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.keep $(PICTURES)

bench-jpeg: $(VENV)/.dev models system ## Measure: hiding in JPEG files beside OpenCV's decoding and encoding (PICTURES=files)
	@$(BIN)/python -m benchmarks.jpeg $(PICTURES)

bench-deface: $(VENV)/.dev models system ## Measure: a labelled folder beside deface (installs it; LABELS=file PICTURES=folder)
	@$(PIP) --no-deps deface imageio imageio-ffmpeg onnxruntime tqdm
	@$(BIN)/python -m benchmarks.deface $(PICTURES)/*
	@$(BIN)/python -m benchmarks.deface_folder $(LABELS) $(PICTURES)

bench-overload: $(VENV)/.dev models system ## Measure: the gateway at 1, 2 and 5 times what it can do
	@$(BIN)/python -m benchmarks.overload $(OVERLOAD_FLAGS)

images: $(addprefix image-,detector embedder anonymizer gateway) ## Build the container images (ENGINE=podman or docker)

images-test: $(VENV)/.dev models ## Build the images, run them as Kubernetes would, check sizes and behaviour (needs root)
	@command -v podman >/dev/null || { $(call apt_install,podman buildah runc netavark aardvark-dns iptables debootstrap catatonit); }
	@$(PIP) podman-compose
	@$(BIN)/pytest --capture=no --timeout=3600 tests/images

image-%: ## One of them
	@$(ENGINE) build $(BUILD_FLAGS) --build-arg VERSION=$(VERSION) --tag facet/$*:$(VERSION) --file $(wildcard services/$*/Dockerfile $*/Dockerfile) .

# The same Dockerfile; === leaves out the builds for processors alone, which are marked 2.13.0+cpu.
image-embedder-cuda: ## The embedder's image for NVIDIA's GPUs
	@$(ENGINE) build $(BUILD_FLAGS) --build-arg VERSION=$(VERSION) --build-arg TORCH=torch===2.13.0 --tag facet/embedder:$(VERSION)-cuda --file services/embedder/Dockerfile .

image-detector-retinaface: ## The detector's image with RetinaFace
	@$(ENGINE) build $(BUILD_FLAGS) --build-arg VERSION=$(VERSION) --build-arg RETINAFACE=yes --tag facet/detector:$(VERSION)-retinaface --file services/detector/Dockerfile .

protos: $(VENV)/.run ## Generate the protobuf stubs
	@$(PIP) --no-deps --editable .

# After what may install a package too: dpkg serves one at a time.
system: $(VENV)/bin/python ## Install the system libraries that mediapipe links and that rewrite JPEG files
	@found="$$(ldconfig -p)"; for library in libEGL.so.1 libGLESv2.so.2 libturbojpeg.so.0; do \
		case "$$found" in *"$$library"*) ;; *) missing=yes ;; esac; \
	done; [ -z "$$missing" ] || { $(call apt_install,libegl1 libgles2 libturbojpeg0); }

clean: ## Remove the environment and everything generated
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@rm -f protos/facet/v1/*_pb2*.py protos/facet/v1/*_pb2*.pyi

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Facet needs Python 3.11 or newer; set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(call apt_install,python3-venv); }
	@$(PYTHON) -m venv $(VENV)

# mediapipe comes without its dependencies, which would bring a second OpenCV into the same folder; openvino without its
# telemetry.
define install
	@echo "Installing Facet into $(VENV) (a minute or two, once)"
	@$(PIP) $(patsubst %,--requirement requirements/%.txt,$(1))
	@$(PIP) --no-deps --editable . mediapipe openvino
endef

INSTALLED_FROM := $(VENV)/bin/python pyproject.toml setup.py constraints.txt $(wildcard requirements/*.txt protos/facet/v1/*.proto)

$(VENV)/.run: $(INSTALLED_FROM)
	$(call install,$(TIERS))
	@touch $@

$(VENV)/.dev: $(INSTALLED_FROM)
	$(call install,$(TIERS) dev)
	@touch $(VENV)/.run $@
