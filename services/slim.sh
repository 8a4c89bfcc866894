#!/bin/sh
# Removes from an environment what Facet never loads, for a small image: `slim.sh FOLDER`.
set -eu

cd "$1"/lib/python3*/site-packages

# What is for those who build or test the packages, and lists of what these were built from.
find . -depth \( -type d \( -name tests -o -name include -o -name sboms \) \
    -o -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.a' -o -name '*_tests.*.so' \) -exec rm -r {} +
rm -rf numpy/f2py numpy/distutils numpy/_core/_simd.* cffi pycparser # of cffi, modules that it made need _cffi_backend alone

# Pillow's AVIF, which is refused, colour management, fonts and windows; numpy's Fourier transforms and polynomials.
rm -f PIL/_avif.* PIL/_imagingcms.* PIL/_imagingft.* PIL/_imagingtk.* pillow.libs/libavif-* pillow.libs/libbrotli* \
    pillow.libs/libfreetype-* pillow.libs/libharfbuzz-* pillow.libs/liblcms2-* pillow.libs/libpng*
rm -rf numpy/fft numpy/polynomial

# Colours for source code in 500 languages, a second page of the API, other services' messages.
find . -path './pygments/lexers/*.py' ! -name __init__.py ! -name _mapping.py -delete
rm -rf fastapi_offline/static/redoc.* google/api google/cloud google/gapic google/logging google/longrunning google/type

# Symbols, which only debuggers read. Not everywhere: libraries whose tables were moved when their wheel was made, such as
# numpy's, cannot be loaded after `strip`.
find . \( -path './cryptography/*.so' -o -path './httptools/*.so' -o -path './PIL/_imaging.*.so' -o -name libmediapipe.so \) \
    -exec strip --strip-unneeded {} +
