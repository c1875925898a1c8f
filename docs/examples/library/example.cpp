// example PLAIN PROTECTED.png: protects a picture, and names it by the protected one alone.
#include <cstdio>
#include <veilnet/veilnet.h>

int main(int argc, char** argv) try {
  if (argc != 3) return std::fputs("usage: example PLAIN PROTECTED.png\n", stderr), 2;
  const veilnet::Protector h("cifar10-h");
  const veilnet::Classifier psi("cifar10-psi");
  const auto seen = h.protect(veilnet::read_picture(argv[1]));
  veilnet::write_png(argv[2], seen, true);
  const auto label = psi.classify(seen).front();
  std::printf("%s %.3f\n", label.name.c_str(), label.probability);
} catch (const veilnet::Failure& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
