"""A number that can be read and set, but not added to: whoever wants that must lock it."""

import azure.durable_functions as df


def counter(context):
    if context.operation_name == "set":
        context.set_state(context.get_input())
    context.set_result(context.get_state(lambda: 0))


main = df.Entity.create(counter)
