"""The families that onnxruntime's transformer optimizer fuses; apart from it, as it takes long to import."""

FAMILIES = {"bert": "bert", "roberta": "bert", "xlm-roberta": "bert", "electra": "bert", "distilbert": "bert",
            "camembert": "bert", "mpnet": "bert", "deberta-v2": "bert"}
"""transformers' model_type -> the optimizer's; fusions that do not match leave the graph as it is."""
