// SPDX-License-Identifier: Apache-2.0
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    id("com.android.library") version "{{ android_gradle_plugin_version }}"
    id("org.jetbrains.kotlin.android") version "{{ kotlin_version }}"
}

{% if has_extensions %}// The model's tokenizer is made of nodes of onnxruntime-extensions; raise both versions together.
{% endif %}val onnxruntimeVersion = "{{ onnxruntime_android_version }}"
{%- if has_extensions %}
val extensionsVersion = "{{ extensions_android_version }}"
{%- endif %}

android {
    namespace = "{{ package }}"
    compileSdk = 36
    defaultConfig {
        minSdk = 24
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    // Uncompressed, so that the system can map the model out of the app's archive.
    androidResources { noCompress += "onnx" }
    sourceSets["main"].assets.srcDir(layout.buildDirectory.dir("bundle/main").get().asFile)
    sourceSets["androidTest"].assets.srcDir(layout.buildDirectory.dir("bundle/androidTest").get().asFile)
}

kotlin { compilerOptions { jvmTarget.set(JvmTarget.JVM_17) } }

val copyModel by tasks.registering(Copy::class) {
    from("..") { include("{{ model_file }}") }
    into(layout.buildDirectory.dir("bundle/main"))
}
val copyGoldenVectors by tasks.registering(Copy::class) {
    from("..") { include("{{ golden_file }}") }
    into(layout.buildDirectory.dir("bundle/androidTest"))
}
tasks.named("preBuild") { dependsOn(copyModel, copyGoldenVectors) }

dependencies {
    implementation("com.microsoft.onnxruntime:onnxruntime-android:$onnxruntimeVersion")
{%- if has_extensions %}
    implementation("com.microsoft.onnxruntime:onnxruntime-extensions-android:$extensionsVersion")
{%- endif %}
    androidTestImplementation("androidx.test.ext:junit:{{ android_test_junit_version }}")
    androidTestImplementation("androidx.test:runner:{{ android_test_runner_version }}")
}
