/* A client of wolfSSL's for scripts/tls-smoke: sends its standard input line by line, waits for a
 * line of answer to each, and prints it.
 *
 *     wolfssl-client PORT CA.pem VERSION     VERSION: 1.2 or 1.3
 *
 * Exit code 1 with a line on stderr when anything fails. */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

static int fail(const char *what, WOLFSSL *ssl, int code)
{
    char text[WOLFSSL_MAX_ERROR_SZ] = "";
    if (ssl != NULL)
        wolfSSL_ERR_error_string((unsigned long)wolfSSL_get_error(ssl, code), text);
    fprintf(stderr, "wolfssl-client: %s: %s\n", what, text);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return fail("usage: wolfssl-client PORT CA.pem VERSION", NULL, 0);
    wolfSSL_Init();
    int newest = strcmp(argv[3], "1.3") == 0;
    WOLFSSL_METHOD *method = newest ? wolfTLSv1_3_client_method() : wolfTLSv1_2_client_method();
    WOLFSSL_CTX *context = wolfSSL_CTX_new(method);
    if (context == NULL)
        return fail("no context", NULL, 0);
    if (wolfSSL_CTX_load_verify_locations(context, argv[2], NULL) != WOLFSSL_SUCCESS)
        return fail("the CA", NULL, 0);
    int plain = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    struct timeval patience = {.tv_sec = 20};
    setsockopt(plain, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(plain, (struct sockaddr *)&to, sizeof to) != 0)
        return fail("connect", NULL, 0);
    WOLFSSL *ssl = wolfSSL_new(context);
    if (ssl == NULL)
        return fail("no session", NULL, 0);
    wolfSSL_check_domain_name(ssl, "localhost");
    wolfSSL_set_fd(ssl, plain);
    int code = wolfSSL_connect(ssl);
    if (code != WOLFSSL_SUCCESS)
        return fail("the handshake", ssl, code);
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        code = wolfSSL_write(ssl, line, (int)strlen(line));
        if (code <= 0)
            return fail("write", ssl, code);
        for (char last = 0; last != '\n';) {
            char answer[4096];
            code = wolfSSL_read(ssl, answer, sizeof answer);
            if (code <= 0)
                return fail("read", ssl, code);
            fwrite(answer, 1, (size_t)code, stdout);
            last = answer[code - 1];
        }
        fflush(stdout);
    }
    wolfSSL_shutdown(ssl);
    wolfSSL_free(ssl);
    wolfSSL_CTX_free(context);
    close(plain);
    return 0;
}
