/* example MODEL: protects 32x32 pictures of noise, in C. cc example.c $(pkg-config --cflags --libs
 * veilnet) */
#include <stdio.h>
#include <stdlib.h>
#include <veilnet/veilnet_c.h>

int main(int argc, char** argv) {
  veilnet_protector* h = NULL;
  int height, width;
  if (argc != 2 || veilnet_protector_open(argv[1], NULL, &h) != 0)
    return fprintf(stderr, "%s\n", argc == 2 ? veilnet_message() : "usage: example MODEL"), 1;
  veilnet_protector_size(h, &height, &width);
  const size_t bytes = (size_t)height * width * 3;
  uint8_t *plain = malloc(2 * bytes), *seen = malloc(2 * bytes);
  for (size_t i = 0; i < 2 * bytes; ++i) plain[i] = (uint8_t)(i % bytes * 37);
  const int cause = veilnet_protect(h, plain, 2, height, width, seen);
  if (cause != 0)
    fprintf(stderr, "%s\n", veilnet_message());
  else
    printf("%dx%d %d %d %d\n", width, height, seen[0], seen[1], seen[2]);
  free(plain);
  free(seen);
  veilnet_protector_close(h);
  return cause != 0;
}
