/* Whether the workers' users get at what their sites serve. */
#ifndef CANDOR_SUPERVISOR_READABLE_H
#define CANDOR_SUPERVISOR_READABLE_H

struct supervisor;

/* Says for every virtual directory of the started sites, once each, which folder or web.config its
 * pool's user may not read, and what would help: requests would only tell by 401.3 or 500.19.
 * Looks in processes of their own that have that user's rights; one that a dead network file
 * system holds is left behind. Makes no users: one that is still missing has nobody's rights. */
void readable_say(struct supervisor *s);

#endif
