/* Where this build differs from the default_options.h of the release. */

/* Keys only. */
#define DROPBEAR_SVR_PASSWORD_AUTH 0
#define DROPBEAR_SVR_PAM_AUTH 0
#define DROPBEAR_CLI_PASSWORD_AUTH 0

/* Tiny Core keeps what is added to the base below /usr/local. */
#define DSS_PRIV_FILENAME "/usr/local/etc/dropbear/dropbear_dss_host_key"
#define RSA_PRIV_FILENAME "/usr/local/etc/dropbear/dropbear_rsa_host_key"
#define ECDSA_PRIV_FILENAME "/usr/local/etc/dropbear/dropbear_ecdsa_host_key"
#define ED25519_PRIV_FILENAME "/usr/local/etc/dropbear/dropbear_ed25519_host_key"
#define SFTPSERVER_PATH "/usr/local/libexec/sftp-server"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DEFAULT_ROOT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DROPBEAR_PATH_SSH_PROGRAM "/usr/local/bin/dbclient"
