/* share_command.h - room controller/signer: `vcc-signer split`, which makes shares of the passphrase, and `vcc-signer unlock`, by which a custodian
 * gives one to whoever waits for it. Both, and a drill, leave no core dump.
 * Never: a share in a file, an argument or a log. */
#ifndef VCC_SHARE_COMMAND_H
#define VCC_SHARE_COMMAND_H

/* The exit status. */
int share_split_command(int argc, char **argv);
int share_unlock_command(int argc, char **argv);

#endif
