# A target per table, by its name: `table_02`, and `table_2` as well. Included last, so that a name that
# another rule has is refused here.
TAKEN = {each.name for each in workflow.rules} | {"all"}

for table in SHOWN.tables:
    for target in table.targets:
        if target in TAKEN:
            print(
                f"needlework: study config: tables: {target} is the name of a rule; choose another",
                file=sys.stderr,
            )
            sys.exit(2)

        rule:
            name:
                target
            input:
                expand(f"<results>/tables/{table.name}.{{kind}}", kind=TABLE_KINDS),
                lambda wildcards, table=table.name: made(table_parts(table)),
            localrule: True
