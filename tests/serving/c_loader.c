/* Scores PNG files by a bundle's serving_default, through TensorFlow's C API alone.
 *
 * c_loader FOLDER INPUT_OPERATION OUTPUT_OPERATION OUTPUT_INDEX FILE.png ...
 * prints one score a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tensorflow/c/c_api.h>
#include <tensorflow/c/tf_tstring.h>

static void check(TF_Status *status, const char *what) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s: %s\n", what, TF_Message(status));
  exit(1);
}

static char *read_file(const char *path, size_t *size) {
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) {
    perror(path);
    exit(1);
  }
  fseek(stream, 0, SEEK_END);
  *size = (size_t)ftell(stream);
  rewind(stream);
  char *bytes = malloc(*size);
  if (fread(bytes, 1, *size, stream) != *size) exit(1);
  fclose(stream);
  return bytes;
}

static TF_Tensor *read_files(char **paths, int64_t count) {
  TF_Tensor *tensor = TF_AllocateTensor(TF_STRING, &count, 1, (size_t)count * sizeof(TF_TString));
  TF_TString *strings = TF_TensorData(tensor);
  for (int64_t number = 0; number < count; ++number) {
    size_t size;
    char *bytes = read_file(paths[number], &size);
    TF_StringInit(&strings[number]);
    TF_StringCopy(&strings[number], bytes, size);
    free(bytes);
  }
  return tensor;
}

int main(int count, char **arguments) {
  if (count < 6) return 2;
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, arguments[1], tags, 1, graph, NULL, status);
  check(status, "load");
  TF_Output input = {TF_GraphOperationByName(graph, arguments[2]), 0};
  TF_Output output = {TF_GraphOperationByName(graph, arguments[3]), atoi(arguments[4])};
  if (input.oper == NULL || output.oper == NULL) {
    fprintf(stderr, "no such operation\n");
    return 1;
  }
  TF_Tensor *pictures = read_files(arguments + 5, count - 5);
  TF_Tensor *scores = NULL;
  TF_SessionRun(session, NULL, &input, &pictures, 1, &output, &scores, 1, NULL, 0, NULL, status);
  check(status, "run");
  const float *values = TF_TensorData(scores);
  for (int64_t number = 0; number < TF_Dim(scores, 0); ++number) printf("%.9g\n", values[number]);
  return 0;
}
