"""A key that may read jobs and nothing else: created, used and revoked."""

import mercer

with mercer.Client() as admin:  # MERCER_API_KEY has the scope keys:admin, or the service asks for no keys
    made = admin.keys.create("dashboard", ["jobs:read"])
    with mercer.Client(api_key=made.key) as dashboard:
        jobs = dashboard.jobs(limit=5)
    admin.keys.revoke(made.id)

print(f"{made.name} of tenant {made.tenant} saw {len(jobs)} jobs with the key {made.id}, and sees none any more")
