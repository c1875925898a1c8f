/* c_program H PSI PLAIN FOLDER: the functions of veilnet_c.h from C. Writes FOLDER/seen.png and
 * FOLDER/encrypted.png with its key FOLDER/key, prints the likeliest class; library_test.py compares
 * with what the command makes of the same. */
#include <stdio.h>
#include <string.h>
#include <veilnet/veilnet_c.h>

/* Ends with the line where something was not as expected. */
#define EXPECT(true_here)                                                          \
  if (!(true_here)) return fprintf(stderr, "line %d: %s: %s\n", __LINE__, #true_here, \
                                   veilnet_message()), 1

static const char* in(const char* folder, const char* name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

int main(int argc, char** argv) {
  veilnet_network_options options = {1, VEILNET_FLOAT32, NULL};
  veilnet_protector* h = NULL;
  veilnet_classifier* psi = NULL;
  veilnet_client* client = NULL;
  veilnet_cipher *le = NULL, *again = NULL;
  veilnet_picture plain, seen, encrypted, decrypted;
  veilnet_verification found;
  veilnet_label labels[3];
  int count;
  EXPECT(argc == 5);
  EXPECT(veilnet_read_picture(argv[3], &plain) == 0);

  EXPECT(veilnet_protector_open("no-such-model", NULL, &h) == VEILNET_NOT_FOUND && !h);
  EXPECT(strstr(veilnet_message(), "no-such-model"));
  EXPECT(veilnet_protector_open(argv[1], &options, &h) == 0);
  EXPECT(strlen(veilnet_protector_classifier_sha256(h)) == 64);
  EXPECT(veilnet_protect_picture(h, &plain, &seen) == 0);
  EXPECT(veilnet_write_png(in(argv[4], "seen.png"), &seen, 0) == 0);
  EXPECT(veilnet_write_png(in(argv[4], "seen.png"), &seen, 0) == VEILNET_ALREADY_EXISTS);
  EXPECT(veilnet_verify(h, &plain, &seen, &found) == 0 && found.of_this_model == 1);

  EXPECT(veilnet_classifier_open(argv[2], NULL, &psi) == 0);
  EXPECT(veilnet_classify_picture(psi, &seen, 3, labels, &count) == 0 && count == 3);
  EXPECT(labels[0].probability >= labels[1].probability);
  printf("%s\n", labels[0].name);
  EXPECT(veilnet_client_open(argv[1], &options, "psi.example", NULL, &client) ==
         VEILNET_INVALID_ARGUMENT);

  EXPECT(veilnet_cipher_generate("le", 8, &le) == 0 && veilnet_cipher_block_size(le) == 8);
  EXPECT(veilnet_cipher_save(le, in(argv[4], "key"), 0) == 0);
  EXPECT(veilnet_cipher_open(in(argv[4], "key"), &again) == 0);
  EXPECT(strcmp(veilnet_cipher_key_id(le), veilnet_cipher_key_id(again)) == 0);
  EXPECT(veilnet_encrypt_picture(le, &plain, &encrypted) == 0);
  EXPECT(veilnet_write_png(in(argv[4], "encrypted.png"), &encrypted, 1) == 0);
  EXPECT(veilnet_decrypt_picture(again, &encrypted, plain.height, plain.width, &decrypted) == 0);
  EXPECT(memcmp(decrypted.rgb, plain.rgb, (size_t)plain.height * (size_t)plain.width * 3) == 0);

  veilnet_free(plain.rgb);
  veilnet_free(seen.rgb);
  veilnet_free(encrypted.rgb);
  veilnet_free(decrypted.rgb);
  veilnet_protector_close(h);
  veilnet_classifier_close(psi);
  veilnet_client_close(client);
  veilnet_cipher_close(le);
  veilnet_cipher_close(again);
  return 0;
}
