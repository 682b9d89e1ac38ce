"""A script for the Python of an old onnxruntime: what its CPU knows, as JSON.

    PYTHON oldest_operators.py > operators_1.17.3.json

It needs that onnxruntime and nothing else.
"""

import json

import onnxruntime.capi.onnxruntime_pybind11_state as state


def operators() -> dict[str, dict[str, dict[str, list]]]:
    """By domain and operator: the versions that a kernel takes (first, last), and what the schema of an own operator allows.

    Own operators have no versions worth the name: inputs and attributes were added to version 1 later.
    """
    found: dict[str, dict[str, dict[str, list]]] = {}
    for kernel in state.get_all_opkernel_def():
        if kernel.provider == "CPUExecutionProvider":
            entry = found.setdefault(kernel.domain or "ai.onnx", {}).setdefault(kernel.op_name, {"versions": []})
            if list(kernel.version_range) not in entry["versions"]:
                entry["versions"].append(list(kernel.version_range))
    for schema in state.get_all_operator_schema():
        entry = found.get(schema.domain, {}).get(schema.name) if schema.domain.startswith("com.microsoft") else None
        if entry is not None:
            entry["most"] = [schema.max_input, schema.max_output]
            entry["attributes"] = sorted(schema.attributes)
    return found


if __name__ == "__main__":
    print("{" + ",\n".join(
        f"{json.dumps(domain)}: {{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(names.items())) + "}"
        for domain, names in sorted(operators().items())
    ) + "}")
