/* probe PATH: wait until the server behind the Unix socket PATH answers GET /_ping with 200, look again every
 * 20 ms, and tell on the first serial port for how long the kernel has run and how much memory is in use.
 * Without PATH nothing is waited for. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int answers(const char *path)
{
	static const char question[] = "GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char said[16] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), good;

	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	good = fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address) &&
	       write(fd, question, sizeof question - 1) > 0 && read(fd, said, 12) == 12 &&
	       !strcmp(said + 8, " 200");
	if (fd >= 0)
		close(fd);
	return good;
}

static long kib(const char *name)
{
	char line[128];
	long value = -1;
	FILE *file = fopen("/proc/meminfo", "r");

	while (file && value < 0 && fgets(line, sizeof line, file))
		if (!strncmp(line, name, strlen(name)))
			value = atol(line + strlen(name));
	if (file)
		fclose(file);
	return value;
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	char uptime[32] = "";
	FILE *file, *serial;

	while (argc > 1 && !answers(argv[1]))
		nanosleep(&pause, NULL);
	if ((file = fopen("/proc/uptime", "r")) && fscanf(file, "%31s", uptime) == 1 &&
	    (serial = fopen("/dev/ttyS0", "w")))
		return fprintf(serial, "\nPROBE %s %ld\n", uptime, kib("MemTotal:") - kib("MemAvailable:")) < 0 ||
		       fclose(serial);
	return 1;
}
